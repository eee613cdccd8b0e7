import { LIMITS } from '#kernel/limits.ts'
import type { WorkspaceContext } from '../history/context.ts'
import { refused } from './clone-url.ts'

/** Limits of a clone's checkout. */
export interface CloneLimits {
  readonly filesMax: number
  readonly bytesMax: number
}

export const CLONE_LIMITS: CloneLimits = {
  filesMax: LIMITS.cloneFilesMax,
  bytesMax: LIMITS.cloneBytesMax
}

const LIST_MS_MAX = 60_000
/** A line is a type and a size: `blob 1234567890`. */
const LINE_BYTES_MAX = 32

/**
 * Refuses a commit whose checkout would exceed the limits. One small tree object can be named many times: a repository
 * of 176 KB can have a checkout of 1.2 GB, so the size of the pack says nothing about it. Folders are listed and
 * counted too, because a tree of empty folders has no files and still takes git an exponential time to list.
 */
export async function checkCheckoutSize(
  context: WorkspaceContext,
  commit: string,
  { filesMax, bytesMax }: CloneLimits
): Promise<void> {
  const { out, cut } = await context.git(
    ['ls-tree', '-r', '-t', '--format=%(objecttype) %(objectsize)', commit],
    { bytesMax: 2 * filesMax * LINE_BYTES_MAX, timeoutMs: LIST_MS_MAX }
  )
  let entries = 0
  let bytes = 0
  for (const line of out.split('\n')) {
    const [type, size] = line.split(' ')
    if (type) entries += 1
    if (type === 'blob') bytes += Number(size)
  }
  if (cut || entries > filesMax) {
    const detail = `The repository has too many files: the limit is ${filesMax} files and folders`
    throw refused(detail, undefined, { limitFiles: filesMax })
  }
  if (bytes > bytesMax) {
    const detail = `The files of the repository are too large: the limit is ${bytesMax} bytes in all`
    throw refused(detail, undefined, { limitBytes: bytesMax })
  }
}
