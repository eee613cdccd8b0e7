import { isUtf8 } from 'node:buffer'
import { Readable } from 'node:stream'
import { AppError } from '#kernel/errors.ts'
import type { FileStatus } from '#kernel/frames.ts'
import { LIMITS } from '#kernel/limits.ts'
import { decodeName, forClients } from '../files/names.ts'
import { checkPath } from '../files/paths.ts'
import { writeDiff } from '../review/patch-file.ts'
import { resolve } from './listing.ts'
import type { WorkspaceContext } from './context.ts'

export interface DiffFile {
  readonly path: string
  /** Set when the name is no UTF-8. */
  readonly pathEncoding?: 'percent'
  readonly status: FileStatus
  readonly additions: number
  readonly deletions: number
  readonly binary: boolean
  /** Empty when it does not fit into the limit of the whole diff. */
  readonly patch: string
  /** A patch that is no UTF-8 is given as base64. */
  readonly encoding: 'utf-8' | 'base64'
  /** The patch was left out, because it does not fit. */
  readonly truncated: boolean
}

export interface Diff {
  readonly base: string
  readonly head: string
  readonly files: readonly DiffFile[]
  /** Files, or patches of files, were left out. */
  readonly truncated: boolean
}

export interface RawPatch {
  readonly bytes: number
  readonly stream: Readable
}

const SECTION = 'diff --git '
/** git writes up to this much, so that the summary of the files is usually there and small files after a large one are. */
const READ_BYTES_MAX = 32 * LIMITS.diffPatchBytesMax
const SUMMARY = ['--raw', '--numstat', '-z']

/**
 * Compares two commits file by file, or in one path, with the whole patches of as many files as the limit allows. The bytes of names
 * and patches are kept in strings of one character a byte until the end.
 */
export async function diffOf(
  context: WorkspaceContext,
  base: string,
  head: string,
  path?: string
): Promise<Diff> {
  const ends = await endsOf(context, base, head, path)
  const both = await readDiff(context, ends, [...SUMMARY, '--patch'], path)
  // The summary is followed by an empty record, and then by the patches.
  let at = both.text.indexOf('\0\0')
  let summary = at === -1 ? both.text : both.text.slice(0, at)
  if (both.isCut && at === -1) {
    summary = (await readDiff(context, ends, SUMMARY, path, LIMITS.diffRawBytesMax)).text
    at = both.text.length
  }
  const all = parseSummary(summary)
  const patches = at === -1 ? [] : sections(both.text.slice(at + 2), both.isCut)
  const files = withPatches(all, patches).slice(0, LIMITS.diffFilesMax)
  const truncated = all.length > files.length || files.some((file) => file.truncated)
  return { base: ends[0], head: ends[1], files, truncated }
}

/**
 * The same as git's own bytes: `git apply` of them makes the same tree. Refuses with `payload_too_large` what exceeds the
 * limit; nothing is ever left out.
 */
export async function rawDiffOf(
  context: WorkspaceContext,
  base: string,
  head: string,
  path?: string
): Promise<RawPatch> {
  const ends = await endsOf(context, base, head, path)
  const show = ['--patch', '--binary', '--full-index']
  const bytesMax = LIMITS.diffRawBytesMax
  const patch = await writeDiff(context, { ends, show, path, bytesMax })
  if (!patch.isCut && patch.bytes > 0) {
    return { bytes: patch.bytes, stream: patch.file.createReadStream({ start: 0 }) }
  }
  await patch.file.close()
  if (!patch.isCut) return { bytes: 0, stream: Readable.from([]) }
  const instead =
    path === undefined
      ? 'ask for single files with “path”, or for JSON, which lists the files'
      : 'read the file instead'
  const detail = `The patch is larger than ${bytesMax / 1024 / 1024} MiB: ${instead}`
  throw new AppError('payload_too_large', detail, { limitBytes: bytesMax })
}

async function endsOf(
  context: WorkspaceContext,
  base: string,
  head: string,
  path: string | undefined
): Promise<[string, string]> {
  if (path !== undefined) checkPath(path)
  return Promise.all([resolve(context, base), resolve(context, head)])
}

async function readDiff(
  context: WorkspaceContext,
  ends: readonly [string, string],
  show: readonly string[],
  path: string | undefined,
  bytesMax = READ_BYTES_MAX
) {
  await using written = await writeDiff(context, { ends, show, path, bytesMax })
  const { file, bytes, isCut } = written
  const { buffer } = await file.read(Buffer.alloc(bytes), 0, bytes, 0)
  return { text: buffer.toString('latin1'), isCut }
}

type Summary = Pick<DiffFile, 'status' | 'additions' | 'deletions' | 'binary'> & {
  readonly name: string
  readonly isRetyped: boolean
}

/** git's output: first `:modes ids letter` and a path for each file, then `added<TAB>deleted<TAB>path` for each. */
function parseSummary(out: string): Summary[] {
  const words = out.split('\0')
  const letters = new Map<string, string>()
  const files: Summary[] = []
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!
    if (word.startsWith(':')) {
      letters.set(words[++at]!, word.at(-1)!)
    } else if (word !== '') {
      const [additions = '', deletions = '', ...path] = word.split('\t')
      files.push(fileOf(path.join('\t'), additions, deletions, letters))
    }
  }
  return files
}

function fileOf(name: string, additions: string, deletions: string, letters: Map<string, string>) {
  const letter = letters.get(name)
  return {
    name,
    status: letter === 'A' ? 'added' : letter === 'D' ? 'deleted' : 'modified',
    additions: Number(additions) || 0,
    deletions: Number(deletions) || 0,
    binary: additions === '-',
    isRetyped: letter === 'T'
  } as const
}

/** Splits a patch by file; drops the last file of a cut patch. Content lines have a prefix, so none matches. */
function sections(patch: string, isCut: boolean): string[] {
  const [first = '', ...others] = patch.split(`\n${SECTION}`)
  if (first === '') return []
  const all = [first, ...others.map((text) => SECTION + text)]
  const whole = isCut ? all.slice(0, -1) : all
  return whole.map((text) => (text.endsWith('\n') ? text : `${text}\n`))
}

/** A file that became a link, or a link that became a file, has two sections: a deletion and an addition. */
function withPatches(files: readonly Summary[], patches: readonly string[]): DiffFile[] {
  let at = 0
  let bytesLeft: number = LIMITS.diffPatchBytesMax
  return files.map(({ name, isRetyped, ...file }) => {
    const count = isRetyped ? 2 : 1
    const own = patches.slice(at, (at += count))
    const bytes = own.reduce((sum, text) => sum + text.length, 0)
    const fits = own.length === count && bytes <= bytesLeft
    if (fits) bytesLeft -= bytes
    return { ...pathOf(name), ...file, ...textOf(fits ? own.join('') : ''), truncated: !fits }
  })
}

function textOf(latin1: string): Pick<DiffFile, 'patch' | 'encoding'> {
  const bytes = Buffer.from(latin1, 'latin1')
  if (isUtf8(bytes)) return { patch: bytes.toString(), encoding: 'utf-8' }
  return { patch: bytes.toString('base64'), encoding: 'base64' }
}

const pathOf = (latin1: string) => forClients(decodeName(Buffer.from(latin1, 'latin1')))
