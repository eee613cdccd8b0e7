import { randomUUID } from 'node:crypto'
import { constants, type Dirent } from 'node:fs'
import {
  chmod,
  lstat,
  open,
  readdir,
  rename,
  rmdir,
  unlink,
  type FileHandle
} from 'node:fs/promises'

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants
/** Linux: names a file without opening it. Node has no name for it. */
const O_PATH = 0o10000000
const CONCURRENT_MAX = 64

export interface Removal {
  /** How many files and folders are still there because of an error of their own. */
  readonly left: number
  readonly error?: Error | undefined
}

/**
 * Removes a folder that programs of others have filled, or what can be removed of it. Never rejects for what is inside.
 *
 * - Links are removed and never followed: every name is resolved in an open folder, so that a process that still runs
 *   there cannot exchange a folder for a link in between.
 * - A folder without permissions (the module cache of Go is read-only) gets them first.
 * - Depth has no limit, neither that of a path nor that of a stack: a folder inside a folder is moved to the top, and
 *   then has its turn. What a crash leaves is removed by the next attempt.
 * - Names are bytes: they need not be UTF-8.
 * - Other file systems that are mounted inside are left alone.
 */
export async function removeTree(path: string): Promise<Removal> {
  const entry = await lstat(path).catch(missing)
  if (!entry) return { left: 0 }
  if (!entry.isDirectory()) return asRemoval(unlink(path))

  if ((entry.mode & 0o700) !== 0o700) await chmod(path, 0o700).catch(() => {})
  let result: Removal
  try {
    await using top = await open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    result = await emptyTop(top)
  } catch (error) {
    return { left: 1, error: error as Error }
  }
  return result.left > 0 ? result : asRemoval(rmdir(path))
}

async function emptyTop(top: FileHandle): Promise<Removal> {
  const { dev: device } = await top.stat()
  const failed = new Map<string, Error>()
  for (;;) {
    const entries = await readdir(nameOf(top), BYTES)
    const waiting = entries.filter(({ name }) => !failed.has(name.toString('hex')))
    if (waiting.length === 0) break
    for (let at = 0; at < waiting.length; at += CONCURRENT_MAX) {
      const batch = waiting.slice(at, at + CONCURRENT_MAX)
      await Promise.all(
        batch.map((entry) =>
          removeEntry(top, entry, device).catch((error: NodeJS.ErrnoException) => {
            if (error.code !== 'ENOENT') failed.set(entry.name.toString('hex'), error)
          })
        )
      )
    }
  }
  return { left: failed.size, error: failed.values().next().value }
}

async function removeEntry(top: FileHandle, entry: Entry, device: number): Promise<void> {
  const path = nameOf(top, entry.name)
  if (!entry.isDirectory()) return unlink(path)
  {
    await using folder = await openWritable(path)
    if ((await folder.stat()).dev !== device) throw new Error('another file system is mounted here')
    await clear(top, folder)
  }
  return rmdir(path)
}

/** Removes a folder's files, and moves its folders to the top. */
async function clear(top: FileHandle, folder: FileHandle): Promise<void> {
  for (const entry of await readdir(nameOf(folder), BYTES)) {
    const path = nameOf(folder, entry.name)
    if (!entry.isDirectory()) await unlink(path)
    else await moveUp(path, nameOf(top, Buffer.from(`moved-${randomUUID()}`)))
  }
}

async function moveUp(from: Buffer, to: Buffer): Promise<void> {
  try {
    await rename(from, to)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error
    // Moving a folder changes its entry for the parent, so the folder itself must be writable.
    await using _folder = await openWritable(from)
    await rename(from, to)
  }
}

/** Opens a folder, and makes it readable and writable if its owner has closed it. */
async function openWritable(path: Buffer): Promise<FileHandle> {
  const named = await open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW)
  try {
    // By its descriptor: the name may lead to something else by now.
    if (((await named.stat()).mode & 0o700) !== 0o700) await chmod(nameOf(named), 0o700)
    return await open(nameOf(named), O_RDONLY | O_DIRECTORY)
  } finally {
    await named.close()
  }
}

type Entry = Dirent<Buffer>
const BYTES = { withFileTypes: true, encoding: 'buffer' } as const

const nameOf = ({ fd }: FileHandle, name?: Buffer): Buffer =>
  name === undefined
    ? Buffer.from(`/proc/self/fd/${fd}`)
    : Buffer.concat([Buffer.from(`/proc/self/fd/${fd}/`), name])

const missing = (error: NodeJS.ErrnoException) => {
  if (error.code !== 'ENOENT') throw error
  return undefined
}

const asRemoval = (removing: Promise<void>): Promise<Removal> =>
  removing.then(
    () => ({ left: 0 }),
    (error: NodeJS.ErrnoException) => (error.code === 'ENOENT' ? { left: 0 } : { left: 1, error })
  )
