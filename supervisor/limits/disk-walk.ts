import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  lstatSync,
  opendirSync,
  openSync,
  type Dir
} from 'node:fs'

export interface DiskUsage {
  /** On disk: a sparse file counts what is written, a file with two names counts once. */
  readonly bytes: number
  /** Files, folders, links and others. */
  readonly files: number
  /** Folders are nested more deeply than `DEPTH_MAX`: those below are not counted. */
  readonly isTooDeep: boolean
}

export interface WalkBounds {
  /** The walk ends as soon as it has counted more than this, and its sums are “at least”. */
  readonly bytesMax: number
  readonly filesMax: number
}

/** Each level holds a descriptor. Programs that use paths get to about 2000 levels, and people to 30. */
export const DEPTH_MAX = 256

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants
/** Opens a folder without the right to read it. Linux has it, Node has no name for it. */
const O_PATH = 0o10000000
const BLOCK_BYTES = 512
/** Names as bytes, and a folder in few calls. */
const OPTIONS = { encoding: 'buffer' as BufferEncoding, bufferSize: 512 }
/** Read, write and enter, for the owner. */
const OWNERS = 0o700

interface Level {
  readonly fd: number
  /** Its own path, which the names of its entries are added to. */
  readonly path: Buffer
  readonly entries: Dir
}

/**
 * Adds up what these folders occupy. Each folder is opened relative to the descriptor of its parent and no link is
 * followed, so an agent that exchanges a folder for a link meanwhile leads the walk nowhere. Names are bytes: an agent may
 * give a folder a name that is not text. Synchronous: it belongs into a thread of its own.
 */
export function walkDisk(folders: readonly string[], bounds: WalkBounds): DiskUsage {
  const total = { bytes: 0, files: 0, isTooDeep: false }
  const counted = new Set<string>()
  for (const folder of folders) walkTree(Buffer.from(folder), bounds, total, counted)
  return total
}

function walkTree(
  root: Buffer,
  { bytesMax, filesMax }: WalkBounds,
  total: { bytes: number; files: number; isTooDeep: boolean },
  counted: Set<string>
): void {
  const levels: Level[] = []
  let device: number | undefined
  try {
    enter(root)
    while (levels.length > 0 && total.bytes <= bytesMax && total.files <= filesMax) step()
  } finally {
    for (const level of levels) leave(level)
  }

  function step() {
    const level = levels.at(-1)!
    const entry = level.entries.readSync()
    if (!entry) return leave(levels.pop()!)
    const path = Buffer.concat([level.path, entry.name as unknown as Buffer])
    if (!entry.isDirectory()) return count(path)
    if (levels.length < DEPTH_MAX) enter(path)
    else total.isTooDeep = true
  }

  function enter(path: Buffer) {
    const fd = openFolder(path)
    if (fd === undefined) return
    const { dev, blocks } = fstatSync(fd)
    device ??= dev
    if (dev !== device) return closeSync(fd)
    total.bytes += blocks * BLOCK_BYTES
    total.files += 1
    const entries = opendirSync(below(fd), OPTIONS)
    levels.push({ fd, path: below(fd), entries })
  }

  function count(path: Buffer) {
    const stats = statsOf(path)
    if (!stats || (stats.nlink > 1 && counted.has(String(stats.ino)))) return
    if (stats.nlink > 1) counted.add(String(stats.ino))
    total.bytes += stats.blocks * BLOCK_BYTES
    total.files += 1
  }
}

/**
 * Undefined when it is gone or no folder any more. Where the server is not root, an agent can close a folder against it and
 * fill it before or after: such a folder is opened again. Both are the same user, so that it protects nothing.
 */
function openFolder(path: Buffer): number | undefined {
  const fd = tryOpen(path, O_RDONLY) ?? reopen(path)
  if (fd === undefined) return undefined
  const { mode } = fstatSync(fd)
  if ((mode & OWNERS) !== OWNERS && process.getuid?.() !== 0) attempt(() => fchmodSync(fd, OWNERS))
  return fd
}

function reopen(path: Buffer): number | undefined {
  const closed = tryOpen(path, O_PATH)
  if (closed === undefined) return undefined
  try {
    // Its descriptor names this folder, whatever the path names by now.
    attempt(() => chmodSync(below(closed), OWNERS))
    return tryOpen(below(closed), O_RDONLY, 0)
  } finally {
    closeSync(closed)
  }
}

const tryOpen = (path: Buffer, access: number, noFollow: number = O_NOFOLLOW) =>
  attempt(() => openSync(path, access | O_DIRECTORY | noFollow))

const statsOf = (path: Buffer) => attempt(() => lstatSync(path, { throwIfNoEntry: false }))

/** What an agent changes or closes in the middle of a walk is left out. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}

function leave({ fd, entries }: Level): void {
  entries.closeSync()
  closeSync(fd)
}

/** The path of a folder by its descriptor, which leads there whatever happens to its name. */
const below = (fd: number): Buffer => Buffer.from(`/proc/self/fd/${fd}/`)
