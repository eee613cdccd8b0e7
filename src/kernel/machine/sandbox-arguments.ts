import { lstat, readlink } from 'node:fs/promises'

/**
 * Bubblewrap's arguments for a sandbox that shares nothing with the machine: namespaces of its own, a network with
 * only `lo`, no capabilities, and no way to make further namespaces.
 */
export const SEALED: readonly string[] = [
  '--die-with-parent',
  '--new-session',
  '--unshare-user',
  '--uid',
  '1000',
  '--gid',
  '1000',
  '--disable-userns',
  '--cap-drop',
  'ALL',
  '--unshare-pid',
  '--unshare-ipc',
  '--unshare-uts',
  '--unshare-cgroup-try',
  '--unshare-net'
]

const TOP = ['/bin', '/sbin', '/lib', '/lib32', '/lib64']

/**
 * Bubblewrap's arguments for the programs and libraries of this machine, read-only: `/usr`, and the folders at the top
 * that are links into it or, on older systems, folders of their own. Nothing of `/etc`, `/var` or `/home`.
 */
export async function systemMounts(): Promise<string[]> {
  const top = await Promise.all(
    TOP.map(async (path) => {
      const stat = await lstat(path).catch(() => undefined)
      if (!stat) return []
      return stat.isSymbolicLink()
        ? ['--symlink', await readlink(path), path]
        : ['--ro-bind', path, path]
    })
  )
  return ['--ro-bind', '/usr', '/usr', ...top.flat()]
}
