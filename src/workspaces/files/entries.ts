import { lstatSync, readlinkSync, rmdirSync, readdirSync, type Stats } from 'node:fs'
import { decodeName } from './names.ts'
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

function kindOf(
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

/** The entries of a folder by name, with their kinds. */
export function entriesOf(folder: Folder): { name: string; kind: Kind }[] {
  const options = { withFileTypes: true, encoding: 'buffer' } as const
  return readdirSync(folder.nameOf('.'), options).map((entry) => ({
    name: decodeName(entry.name),
    kind: kindOf(entry)
  }))
}

/** Deletes a folder in which there are only folders. False when it has a file. */
export function removeEmptyFolder(folder: Folder, leaf: string): boolean {
  {
    using inner = openFolder(folder.nameOf(leaf), [], { writable: true })!
    for (const { name, kind } of entriesOf(inner)) {
      if (kind !== 'folder' || !removeEmptyFolder(inner, name)) return false
    }
  }
  rmdirSync(folder.nameOf(leaf))
  return true
}
