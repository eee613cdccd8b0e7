import { closeSync, constants, fstatSync, mkdirSync, openSync, type Stats } from 'node:fs'
import { notAllowed } from './paths.ts'

const { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants

/** An open folder of a worktree. Names are resolved in this folder, even if its path now leads to another one. */
export interface Folder extends Disposable {
  readonly fd: number
  readonly device: number
  nameOf(leaf: string): string
}

/**
 * Opens each folder of a path relative to the descriptor of its parent, so that no link is followed, and no agent can
 * replace a folder with a link between check and use. Undefined when a folder does not exist and `create` is off.
 */
export function openFolder(
  worktree: string,
  segments: readonly string[],
  options: { readonly create?: boolean } = {}
): Folder | undefined {
  let fd = openSync(worktree, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
  const device = fstatSync(fd).dev
  try {
    for (const segment of segments) {
      const next = openChild(fd, segment, options.create ?? false)
      if (next === undefined) return release(fd)
      closeSync(fd)
      fd = next
      if (fstatSync(fd).dev !== device)
        throw notAllowed(segments.join('/'), 'The path leads to another device')
    }
  } catch (error) {
    closeSync(fd)
    throw asRefusal(error, segments.join('/'))
  }
  return folder(fd, device)
}

function openChild(parent: number, segment: string, create: boolean): number | undefined {
  const name = within(parent, segment)
  try {
    return openSync(name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
    if (!create) return undefined
  }
  try {
    mkdirSync(name)
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
  }
  return openSync(name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
}

export interface OpenFile extends Disposable {
  readonly fd: number
  readonly stats: Stats
}

/** Opens a regular file of this folder for reading; undefined when it does not exist. Rejects links and pipes. */
export function openLeaf(
  folder: Folder,
  leaf: string,
  path: string,
  options: { readonly linksMax: number }
): OpenFile | undefined {
  let fd: number
  try {
    fd = openSync(folder.nameOf(leaf), O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw asRefusal(error, path)
  }
  const stats = fstatSync(fd)
  if (!stats.isFile() || stats.nlink > options.linksMax || stats.dev !== folder.device) {
    closeSync(fd)
    throw notAllowed(path, 'The path is not a regular file of the project')
  }
  return { fd, stats, [Symbol.dispose]: () => closeSync(fd) }
}

const BLOCKED_BY_FILE_TYPE = new Set([
  'ELOOP',
  'ENOTDIR',
  'EISDIR',
  'ENOTEMPTY',
  'EEXIST',
  'ENXIO',
  'EACCES',
  'EPERM'
])

/** Turns file system errors that the worktree's content causes into `path_not_allowed`; others stay failures. */
export function asRefusal(error: unknown, path: string): unknown {
  const code = codeOf(error) ?? ''
  if (code === 'ENAMETOOLONG')
    return notAllowed(path, 'A name in the path is too long for the file system', error)
  if (!BLOCKED_BY_FILE_TYPE.has(code)) return error
  return notAllowed(path, 'A link, or a file that is not a regular one, blocks the path', error)
}

export const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code

const within = (fd: number, leaf: string) => `/proc/self/fd/${fd}/${leaf}`

const folder = (fd: number, device: number): Folder => ({
  fd,
  device,
  nameOf: (leaf) => within(fd, leaf),
  [Symbol.dispose]: () => closeSync(fd)
})

function release(fd: number): undefined {
  closeSync(fd)
  return undefined
}
