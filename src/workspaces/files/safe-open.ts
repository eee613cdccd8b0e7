import {
  chmodSync,
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  type Stats
} from 'node:fs'
import { encodeName } from './names.ts'
import { notAllowed } from './paths.ts'

const { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants
/** Opens a folder without the right to read it; `fs.constants` does not have it. The same on x64 and arm64. */
const O_PATH = 0o10000000
const OWNER_ALL = 0o700

/** An open folder of a worktree. Names are resolved in this folder, even if its path now leads to another one. */
export interface Folder extends Disposable {
  readonly fd: number
  readonly device: number
  nameOf(leaf: string): string | Buffer
}

export interface FolderOptions {
  /** Creates the folders that do not exist. */
  readonly create?: boolean
  /** Gives the owner all rights in each folder of the path that lacks them: Go's module cache is read-only, for example. */
  readonly writable?: boolean
}

/**
 * Opens each folder of a path relative to the descriptor of its parent, so that no link is followed, and no agent can
 * replace a folder with a link between check and use. Undefined when a folder does not exist and `create` is off.
 */
export function openFolder(
  worktree: string | Buffer,
  segments: readonly string[],
  { create = false, writable = false }: FolderOptions = {}
): Folder | undefined {
  let fd = openDirectory(worktree, writable)
  const device = fstatSync(fd).dev
  try {
    for (const segment of segments) {
      const next = openChild(fd, segment, create, writable)
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

function openChild(
  parent: number,
  segment: string,
  create: boolean,
  writable: boolean
): number | undefined {
  const name = within(parent, segment)
  try {
    return openDirectory(name, writable)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
    if (!create) return undefined
  }
  try {
    mkdirSync(name)
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
  }
  return openDirectory(name, writable)
}

function openDirectory(name: string | Buffer, writable: boolean): number {
  if (writable) giveRights(name)
  return openSync(name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
}

/** By descriptor: the folder that was checked is the folder that gets the rights, whatever its name leads to by then. */
function giveRights(name: string | Buffer): void {
  const fd = openSync(name, O_PATH | O_DIRECTORY | O_NOFOLLOW)
  try {
    const { mode } = fstatSync(fd)
    if ((mode & OWNER_ALL) !== OWNER_ALL)
      chmodSync(`/proc/self/fd/${fd}`, (mode & 0o7777) | OWNER_ALL)
  } finally {
    closeSync(fd)
  }
}

export interface OpenFile extends Disposable {
  readonly fd: number
  readonly stats: Stats
}

/** Opens a regular file of this folder for reading; undefined when it does not exist. Rejects links and pipes. */
export function openLeaf(folder: Folder, leaf: string, path: string): OpenFile | undefined {
  let fd: number
  try {
    fd = openSync(folder.nameOf(leaf), O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw asRefusal(error, path)
  }
  const stats = fstatSync(fd)
  if (!stats.isFile() || stats.dev !== folder.device) {
    closeSync(fd)
    throw notAllowed(path, 'The path is not a regular file of the project')
  }
  return { fd, stats, [Symbol.dispose]: () => closeSync(fd) }
}

/** What the content of a worktree can make of a path, by the error of the file system. */
const REASONS: Readonly<Record<string, string>> = {
  ENAMETOOLONG: 'A name in the path is too long for the file system',
  ELOOP: 'A symbolic link is in the path',
  ENOTDIR: 'A file or a link is where the path has a folder',
  EISDIR: 'The path is a folder',
  ENOTEMPTY: 'The path is a folder with files in it',
  EEXIST: 'Something else is at the path',
  ENXIO: 'The path is a pipe, a socket or a device',
  EACCES: 'The permissions of the file or of its folder forbid it',
  EPERM: 'The file system does not permit it'
}

/** Turns file system errors that the worktree's content causes into `path_not_allowed`; others stay failures. */
export function asRefusal(error: unknown, path: string): unknown {
  const reason = REASONS[codeOf(error) ?? '']
  return reason === undefined ? error : notAllowed(path, reason, error)
}

export const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code

const within = (fd: number, leaf: string): string | Buffer => {
  const path = `/proc/self/fd/${fd}/${leaf}`
  return leaf.isWellFormed() ? path : encodeName(path)
}

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
