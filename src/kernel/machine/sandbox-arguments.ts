import { lstat, readlink } from 'node:fs/promises'

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
