import type { FileStatus } from '#kernel/frames.ts'
import { LIMITS } from '#kernel/limits.ts'
import { resolve } from './listing.ts'
import type { WorkspaceContext } from './context.ts'

export interface DiffFile {
  readonly path: string
  readonly status: FileStatus
  readonly additions: number
  readonly deletions: number
  readonly binary: boolean
  /** Empty when the whole diff exceeds its limit. */
  readonly patch: string
}

export interface Diff {
  readonly base: string
  readonly head: string
  readonly files: readonly DiffFile[]
  readonly truncated: boolean
}

const DIFF = ['diff', '--no-ext-diff', '--no-textconv', '--no-color', '--no-renames']
const SECTION = 'diff --git '

/** Compares two commits file by file, with as many whole patches as the limits allow. */
export async function diffOf(context: WorkspaceContext, base: string, head: string): Promise<Diff> {
  const ends = await Promise.all([resolve(context, base), resolve(context, head)])
  const [summary, patch] = await Promise.all([
    context.git([...DIFF, '--raw', '--numstat', '-z', ...ends]),
    context.git([...DIFF, '--patch', ...ends], { bytesMax: LIMITS.diffPatchBytesMax })
  ])
  const all = parseSummary(summary.out)
  const files = withPatches(all.slice(0, LIMITS.diffFilesMax), sections(patch.out, patch.cut))
  const truncated = patch.cut || all.length > files.length
  return { base: ends[0], head: ends[1], files, truncated }
}

/** The same as one patch for `git apply`; a patch over the limit is cut after a whole file. */
export async function rawDiffOf(
  context: WorkspaceContext,
  base: string,
  head: string
): Promise<string> {
  const ends = await Promise.all([resolve(context, base), resolve(context, head)])
  const { out, cut } = await context.git(
    [...DIFF, '--patch', '--binary', '--full-index', ...ends],
    {
      bytesMax: LIMITS.diffPatchBytesMax
    }
  )
  return cut ? sections(out, cut).join('') : out
}

type Summary = Omit<DiffFile, 'patch'> & { readonly retyped: boolean }

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

function fileOf(path: string, additions: string, deletions: string, letters: Map<string, string>) {
  const letter = letters.get(path)
  return {
    path,
    status: letter === 'A' ? 'added' : letter === 'D' ? 'deleted' : 'modified',
    additions: Number(additions) || 0,
    deletions: Number(deletions) || 0,
    binary: additions === '-',
    retyped: letter === 'T'
  } as const
}

/** Splits a patch by file; drops the last file of a cut patch. Content lines have a prefix, so none matches. */
function sections(patch: string, cut: boolean): string[] {
  const [first = '', ...others] = patch.split(`\n${SECTION}`)
  if (first === '') return []
  const all = [first, ...others.map((text) => SECTION + text)]
  const whole = cut ? all.slice(0, -1) : all
  return whole.map((text) => (text.endsWith('\n') ? text : `${text}\n`))
}

/** A file that became a link, or a link that became a file, has two sections: a deletion and an addition. */
function withPatches(files: readonly Summary[], patches: readonly string[]): DiffFile[] {
  let at = 0
  return files.map(({ retyped, ...file }) => {
    const own = patches.slice(at, (at += retyped ? 2 : 1))
    return { ...file, patch: own.join('') }
  })
}
