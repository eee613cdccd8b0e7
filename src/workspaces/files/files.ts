import { createHash, randomUUID } from 'node:crypto'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { AppError } from '#kernel/errors.ts'
import { LIMITS } from '#kernel/limits.ts'
import { asRefusal, codeOf, openFolder, openLeaf, type Folder, type OpenFile } from './safe-open.ts'
import { checkPath } from './paths.ts'

const readInto = promisify(fs.read)
const CHUNK_BYTES = 1 << 20

export interface FileNow {
  readonly content: Buffer
  readonly sha: string
  readonly executable: boolean
}

/** Git's name for these bytes as a file. */
export const blobId = (content: Buffer) =>
  createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex')

/** The file as it lies in the worktree, or undefined when nothing is there. */
export async function readFile(worktree: string, path: string): Promise<FileNow | undefined> {
  const { parents, leaf } = parts(path)
  using folder = openFolder(worktree, parents)
  using file = folder && openLeaf(folder, leaf, path, { linksMax: 1 })
  if (!file) return undefined

  const { size, mode } = file.stats
  if (size > LIMITS.fileBytesMax) throw tooLarge(path, size)
  const content = Buffer.alloc(size)
  const bytes = await readPieces(file, size, (piece, at) => void piece.copy(content, at))
  const whole = content.subarray(0, bytes)
  return { content: whole, sha: blobId(whole), executable: (mode & 0o100) !== 0 }
}

export type FileState = Omit<FileNow, 'content'>

/** The same without its content, so that a file of any size can be saved over. */
export async function stateOf(worktree: string, path: string): Promise<FileState | undefined> {
  const { parents, leaf } = parts(path)
  using folder = openFolder(worktree, parents)
  using file = folder && openLeaf(folder, leaf, path, { linksMax: 1 })
  if (!file) return undefined
  return { sha: await hashOf(file), executable: (file.stats.mode & 0o100) !== 0 }
}

/** A file outside the worktree that will take the place of another in one step. */
export interface Prepared extends Disposable {
  readonly temporary: string
}

/** Writes the new bytes aside, safe on the disk, where no watcher of the worktree sees half a file. */
export async function prepareFile(
  aside: string,
  content: Buffer,
  options: { readonly executable: boolean; readonly sync: boolean }
): Promise<Prepared> {
  const temporary = join(aside, randomUUID())
  const file = await fs.promises.open(temporary, 'wx', 0o600)
  try {
    await file.writeFile(content)
    await file.chmod(options.executable ? 0o755 : 0o644)
    if (options.sync) await file.sync()
  } finally {
    await file.close()
  }
  return { temporary, [Symbol.dispose]: () => fs.rmSync(temporary, { force: true }) }
}

/** Puts a prepared file at its path, and makes the folders that lead to it. */
export function placeFile(worktree: string, path: string, prepared: Prepared): void {
  const { parents, leaf } = parts(path)
  using folder = openFolder(worktree, parents, { create: true })!
  try {
    fs.renameSync(prepared.temporary, folder.nameOf(leaf))
  } catch (error) {
    throw asRefusal(error, path)
  }
}

/** Takes the file away, and the folders that are empty without it. */
export function unlinkFile(worktree: string, path: string): void {
  const { parents, leaf } = parts(path)
  using folder = openFolder(worktree, parents)
  try {
    if (folder) fs.unlinkSync(folder.nameOf(leaf))
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw asRefusal(error, path)
  }
  for (let depth = parents.length; depth > 0; depth--) {
    using parent = openFolder(worktree, parents.slice(0, depth - 1))
    try {
      if (parent) fs.rmdirSync(parent.nameOf(parents[depth - 1]!))
    } catch {
      return
    }
  }
}

export interface Entry {
  readonly size: number
  /** What git would call it: a link counts as a file that holds its target. */
  readonly sha: () => Promise<string | undefined>
}

/** A path that git told us of, as it lies in this folder; undefined when git would not store what is there. */
export function inspectFile(folder: Folder, leaf: string, path: string): Entry | undefined {
  const stats = fs.lstatSync(folder.nameOf(leaf), { throwIfNoEntry: false })
  if (!stats) return undefined
  if (stats.isSymbolicLink()) {
    const target = targetOf(folder.nameOf(leaf))
    return target && { size: target.length, sha: async () => blobId(target) }
  }
  if (!stats.isFile()) return undefined
  return { size: stats.size, sha: () => hashLeaf(folder, leaf, path) }
}

function targetOf(link: string): Buffer | undefined {
  try {
    return fs.readlinkSync(link, { encoding: 'buffer' })
  } catch {
    // It was a link a moment ago.
    return undefined
  }
}

/** Undefined when the file has gone, or has become something else, since git saw it. */
async function hashLeaf(folder: Folder, leaf: string, path: string): Promise<string | undefined> {
  try {
    using file = openLeaf(folder, leaf, path, { linksMax: Infinity })
    return file && (await hashOf(file))
  } catch (error) {
    if (error instanceof AppError) return undefined
    throw error
  }
}

async function hashOf(file: OpenFile): Promise<string> {
  const { size } = file.stats
  const hash = createHash('sha1').update(`blob ${size}\0`)
  await readPieces(file, size, (piece) => void hash.update(piece))
  return hash.digest('hex')
}

async function readPieces(file: OpenFile, size: number, take: (p: Buffer, at: number) => void) {
  const piece = Buffer.allocUnsafe(Math.min(size, CHUNK_BYTES))
  let at = 0
  while (at < size) {
    const { bytesRead } = await readInto(file.fd, piece, 0, Math.min(piece.length, size - at), at)
    if (bytesRead === 0) break
    take(piece.subarray(0, bytesRead), at)
    at += bytesRead
  }
  return at
}

export const tooLarge = (path: string, size: number) =>
  new AppError('payload_too_large', 'A file may not be larger than 10 MiB', { path, size })

function parts(path: string) {
  const segments = checkPath(path)
  return { parents: segments.slice(0, -1), leaf: segments.at(-1)! }
}
