import { createHash, randomUUID } from 'node:crypto'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { AppError } from '#kernel/errors.ts'
import { LIMITS } from '#kernel/limits.ts'
import { entryIn, refuseKind, removeEmptyFolder, type Kind } from './entries.ts'
import { asRefusal, codeOf, openFolder, openLeaf, type Folder, type OpenFile } from './safe-open.ts'
import { checkPath, REMOVABLE, type PathLimits } from './paths.ts'

/** A file without it is one that git cannot read. The server may be able to, as root; both have to agree. */
const OWNER_READ = 0o400

const readInto = promisify(fs.read)
const CHUNK_BYTES = 1 << 20

export interface FileNow {
  readonly content: Buffer
  readonly sha: string
  readonly executable: boolean
}

/** The blob id that git computes for these bytes. */
export const blobId = (content: Buffer) =>
  createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex')

/** Reads a file of the worktree; undefined when it does not exist. */
export async function readFile(worktree: string, path: string): Promise<FileNow | undefined> {
  const { parents, leaf } = splitPath(path)
  using folder = openFolder(worktree, parents)
  using file = folder && openRegular(folder, leaf, path)
  if (!file) return undefined

  const { size, mode } = file.stats
  if (size > LIMITS.fileBytesMax) throw tooLarge(path, size)
  const content = Buffer.alloc(size)
  const bytes = await readChunks(file, size, (chunk, at) => void chunk.copy(content, at))
  const read = content.subarray(0, bytes)
  return { content: read, sha: blobId(read), executable: (mode & 0o100) !== 0 }
}

export interface FileState {
  readonly kind: Kind
  /** The blob id of a file or a symbolic link; undefined for what git cannot store or the server cannot read. */
  readonly sha: string | undefined
  readonly executable: boolean
}

/** What is at a path, without its content: it works for a file of any size, and opens nothing but regular files. */
export async function stateOf(
  worktree: string,
  path: string,
  limits?: PathLimits
): Promise<FileState | undefined> {
  const { parents, leaf } = splitPath(path, limits)
  using folder = openFolder(worktree, parents)
  const entry = folder && entryIn(folder, leaf, path)
  if (!folder || !entry) return undefined
  const { kind, target } = entry
  if (kind !== 'file') return { kind, sha: target && blobId(target), executable: false }
  return {
    kind,
    sha: await hashLeaf(folder, leaf, path),
    executable: (entry.stats.mode & 0o100) !== 0
  }
}

function openRegular(folder: Folder, leaf: string, path: string): OpenFile | undefined {
  const entry = entryIn(folder, leaf, path)
  if (entry && entry.kind !== 'file') throw refuseKind(path, entry)
  return entry && openLeaf(folder, leaf, path)
}

/** A complete file in the staging folder, to be renamed into the worktree. Disposing removes it. */
export interface Prepared extends Disposable {
  readonly temporary: string
}

/** Writes the content into the staging folder, so that watchers of the worktree never see a partial file. */
export async function prepareFile(
  stagingDir: string,
  content: Buffer,
  options: { readonly executable: boolean; readonly sync: boolean }
): Promise<Prepared> {
  const temporary = join(stagingDir, randomUUID())
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

/** Renames a prepared file to its path, and creates the parent folders. Replaces a folder that holds no file. */
export function placeFile(worktree: string, path: string, prepared: Prepared): void {
  const { parents, leaf } = splitPath(path)
  using folder = openFolder(worktree, parents, { create: true, writable: true })!
  try {
    if (entryIn(folder, leaf, path)?.kind === 'folder') removeEmptyFolder(folder, leaf)
    fs.renameSync(prepared.temporary, folder.nameOf(leaf))
  } catch (error) {
    throw asRefusal(error, path)
  }
}

/** Deletes what is at a path, of any kind but a folder with files, and its parent folders that have become empty. */
export function unlinkFile(worktree: string, path: string): void {
  const { parents, leaf } = splitPath(path, REMOVABLE)
  using folder = openFolder(worktree, parents, { writable: true })
  try {
    const entry = folder && entryIn(folder, leaf, path)
    if (folder && entry?.kind === 'folder') {
      if (!removeEmptyFolder(folder, leaf)) throw refuseKind(path, entry)
    } else if (folder && entry) fs.unlinkSync(folder.nameOf(leaf))
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw asRefusal(error, path)
  }
  for (let depth = parents.length; depth > 0; depth--) {
    using parent = openFolder(worktree, parents.slice(0, depth - 1), { writable: true })
    try {
      if (parent) fs.rmdirSync(parent.nameOf(parents[depth - 1]!))
    } catch {
      return
    }
  }
}

export interface Entry {
  readonly size: number
  readonly isLink: boolean
  /** Of a symbolic link. */
  readonly target?: Buffer
  readonly executable: boolean
  /**
   * The blob id; the content of a symbolic link is its target, as it is for git. Undefined when the file cannot be
   * read, or is gone by then.
   */
  readonly sha: () => Promise<string | undefined>
}

/** Inspects a path that git listed; undefined when it does not exist or is no file or link. */
export function inspectFile(folder: Folder, leaf: string, path: string): Entry | undefined {
  const stats = fs.lstatSync(folder.nameOf(leaf), { throwIfNoEntry: false })
  if (!stats) return undefined
  if (stats.isSymbolicLink()) {
    const target = targetOf(folder.nameOf(leaf))
    const size = target?.length ?? 0
    const sha = async () => target && blobId(target)
    return target && { size, isLink: true, target, executable: false, sha }
  }
  if (!stats.isFile()) return undefined
  const executable = (stats.mode & 0o100) !== 0
  const isReadable = (stats.mode & OWNER_READ) !== 0
  const sha = async () => (isReadable ? hashLeaf(folder, leaf, path) : undefined)
  return { size: stats.size, isLink: false, executable, sha }
}

function targetOf(link: string | Buffer): Buffer | undefined {
  try {
    return fs.readlinkSync(link, { encoding: 'buffer' })
  } catch {
    // The agent replaced or deleted the link since it was inspected.
    return undefined
  }
}

/** Undefined when the file was deleted or replaced by something else since git listed it. */
async function hashLeaf(folder: Folder, leaf: string, path: string): Promise<string | undefined> {
  try {
    using file = openLeaf(folder, leaf, path)
    return file && (await hashOf(file))
  } catch (error) {
    if (error instanceof AppError) return undefined
    throw error
  }
}

async function hashOf(file: OpenFile): Promise<string> {
  const { size } = file.stats
  const hash = createHash('sha1').update(`blob ${size}\0`)
  await readChunks(file, size, (chunk) => void hash.update(chunk))
  return hash.digest('hex')
}

async function readChunks(
  file: OpenFile,
  size: number,
  handle: (chunk: Buffer, at: number) => void
) {
  const chunk = Buffer.allocUnsafe(Math.min(size, CHUNK_BYTES))
  let at = 0
  while (at < size) {
    const { bytesRead } = await readInto(file.fd, chunk, 0, Math.min(chunk.length, size - at), at)
    if (bytesRead === 0) break
    handle(chunk.subarray(0, bytesRead), at)
    at += bytesRead
  }
  return at
}

export const tooLarge = (path: string, size: number) =>
  new AppError('payload_too_large', 'The file is too large: the limit is 10 MiB', { path, size })

function splitPath(path: string, limits?: PathLimits) {
  const segments = checkPath(path, limits)
  return { parents: segments.slice(0, -1), leaf: segments.at(-1)! }
}
