import { lstatSync, readlinkSync, rmdirSync, readdirSync, type Stats } from 'node:fs'
import { notAllowed } from './paths.ts'
import { asRefusal, openFolder, type Folder } from './safe-open.ts'

/** Every kind of entry that a folder can have. */
export type Kind = 'file' | 'symlink' | 'folder' | 'fifo' | 'socket' | 'device'

export interface FoundEntry {
  readonly kind: Kind
  readonly stats: Stats
  /** Of a symbolic link. */
  readonly target?: Buffer
}

export function kindOf(
  stats: Pick<Stats, 'isFile' | 'isDirectory' | 'isFIFO' | 'isSocket' | 'isSymbolicLink'>
): Kind {
  if (stats.isFile()) return 'file'
  if (stats.isSymbolicLink()) return 'symlink'
  if (stats.isDirectory()) return 'folder'
  if (stats.isFIFO()) return 'fifo'
  return stats.isSocket() ? 'socket' : 'device'
}

/** What is at a name of this folder, without opening or following it; undefined when there is nothing. */
export function entryIn(folder: Folder, leaf: string, path: string): FoundEntry | undefined {
  try {
    const stats = lstatSync(folder.nameOf(leaf), { throwIfNoEntry: false })
    if (!stats) return undefined
    const kind = kindOf(stats)
    if (kind !== 'symlink') return { kind, stats }
    return { kind, stats, target: readlinkSync(folder.nameOf(leaf), { encoding: 'buffer' }) }
  } catch (error) {
    throw asRefusal(error, path)
  }
}

const NAMES: Readonly<Record<Kind, string>> = {
  file: 'a file',
  symlink: 'a symbolic link',
  folder: 'a folder',
  fifo: 'a named pipe',
  socket: 'a socket',
  device: 'a device'
}

/** The refusal to read or replace what is no regular file. */
export function refuseKind(path: string, { kind, target }: Pick<FoundEntry, 'kind' | 'target'>) {
  const facts = { kind, ...(target === undefined ? {} : { target: target.toString() }) }
  const hint = kind === 'folder' ? '' : ': it can be deleted, and is not opened'
  return notAllowed(path, `The path is ${NAMES[kind]}${hint}`, undefined, facts)
}

/** Deletes a folder in which there are only folders. False when it has a file. */
export function removeEmptyFolder(folder: Folder, leaf: string): boolean {
  {
    using inner = openFolder(folder.nameOf(leaf), [], { writable: true })!
    for (const entry of readdirSync(inner.nameOf('.'), { withFileTypes: true })) {
      if (!entry.isDirectory() || !removeEmptyFolder(inner, entry.name)) return false
    }
  }
  rmdirSync(folder.nameOf(leaf))
  return true
}
