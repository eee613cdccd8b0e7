import { AppError } from '#kernel/errors.ts'
import { LIMITS } from '#kernel/limits.ts'

const FORBIDDEN = /[\0\\]/
/** Characters that some file systems leave out when they compare names, so that `.g<U+200C>it` is `.git` to them. */
const LEFT_OUT = /[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]/g

export const notAllowed = (path: string, why: string, cause?: unknown) =>
  new AppError('path_not_allowed', why, { path }, { cause })

/** The segments of a path that stays in the worktree and out of git's own folders; any other path is refused. */
export function checkPath(path: string): [string, ...string[]] {
  if (Buffer.byteLength(path) > LIMITS.pathBytesMax) {
    throw new AppError('path_not_allowed', 'The path is too long')
  }
  if (FORBIDDEN.test(path)) throw notAllowed(path, 'The path holds a character that is not allowed')
  if (path.startsWith('/')) throw notAllowed(path, 'The path is not relative to the project')

  const [first = '', ...others] = path.split('/')
  const segments: [string, ...string[]] = [first, ...others]
  if (segments.length > LIMITS.pathSegmentsMax) throw notAllowed(path, 'The path is too deep')
  for (const segment of segments) {
    if (segment === '' || segment === '.' || segment === '..') {
      throw notAllowed(path, 'The path has an empty, "." or ".." segment')
    }
    if (isGitName(segment)) throw notAllowed(path, "The path leads into git's own folder")
  }
  return segments
}

/** Whether some file system, somebody's Windows or Mac included, takes this name for `.git`. */
export function isGitName(segment: string): boolean {
  const [beforeStream = ''] = segment.replace(LEFT_OUT, '').toLowerCase().split(':')
  const name = beforeStream.replace(/[ .]+$/, '')
  return name === '.git' || /^git~\d+$/.test(name)
}

/** Whether a path, as git tells it, is one that we never show and never touch. */
export const leadsIntoGit = (path: string) => path.split('/').some(isGitName)
