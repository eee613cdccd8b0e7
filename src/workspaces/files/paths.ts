import { AppError } from '#kernel/errors.ts'
import { LIMITS } from '#kernel/limits.ts'

const FORBIDDEN = /[\0\\]/
/** Characters that some file systems ignore when they compare names: to them `.g<U+200C>it` is `.git`. */
const IGNORED = /[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]/g

export const notAllowed = (
  path: string,
  detail: string,
  cause?: unknown,
  facts: Readonly<Record<string, unknown>> = {}
) => new AppError('path_not_allowed', detail, { path, ...facts }, { cause })

export interface PathLimits {
  readonly bytesMax: number
  readonly segmentsMax: number
}

const USABLE: PathLimits = {
  bytesMax: LIMITS.pathBytesMax,
  segmentsMax: LIMITS.pathSegmentsMax
}
/** What an agent made deeper than a client may can still be removed. */
export const REMOVABLE: PathLimits = {
  bytesMax: LIMITS.removedPathBytesMax,
  segmentsMax: LIMITS.removedPathBytesMax
}

/** Splits a path into segments. Rejects a path that leads out of the worktree or into a folder named `.git`. */
export function checkPath(
  path: string,
  { bytesMax, segmentsMax }: PathLimits = USABLE
): [string, ...string[]] {
  if (Buffer.byteLength(path) > bytesMax) {
    throw new AppError('path_not_allowed', `The path is too long: the limit is ${bytesMax} bytes`)
  }
  if (FORBIDDEN.test(path))
    throw notAllowed(path, 'The path contains a null character or a backslash')
  if (path.startsWith('/'))
    throw notAllowed(path, 'The path must be relative to the project, without a leading slash')

  const [first = '', ...others] = path.split('/')
  const segments: [string, ...string[]] = [first, ...others]
  if (segments.length > segmentsMax)
    throw notAllowed(path, `The path is too deep: the limit is ${segmentsMax} segments`)
  for (const segment of segments) {
    if (segment === '' || segment === '.' || segment === '..') {
      throw notAllowed(path, 'The path must not have an empty, "." or ".." segment')
    }
    if (isGitName(segment))
      throw notAllowed(path, 'The path must not lead into a folder named .git')
  }
  return segments
}

/** Whether any common file system, also of Windows or macOS, treats this name as `.git`. */
export function isGitName(segment: string): boolean {
  const [beforeStream = ''] = segment.replace(IGNORED, '').toLowerCase().split(':')
  const name = beforeStream.replace(/[ .]+$/, '')
  return name === '.git' || /^git~\d+$/.test(name)
}

/** Whether a path that git printed leads into a `.git` folder: such paths are neither listed nor changed. */
export const leadsIntoGit = (path: string) => path.split('/').some(isGitName)
