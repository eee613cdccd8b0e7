import type { Draft, FileStatus } from '#kernel/frames.ts'

/** A path of the worktree that differs from the job's branch. */
export interface Change {
  readonly path: string
  readonly status: FileStatus
  readonly sha: string | null
  /** The job changed what a person had saved while it was running. */
  readonly overwritesSave?: true
}

const WORDS = {
  added: 'job:file-created',
  modified: 'job:file-updated',
  deleted: 'job:file-deleted'
} as const

const frame = (status: FileStatus, path: string, sha: string | null): Draft => ({
  type: WORDS[status],
  data: { path, sha, by: 'agent' }
})

/** The changes that overwrite a person's save since the last read. */
export function risks(before: readonly Change[], now: readonly Change[]): Change[] {
  const known = new Set(
    before.flatMap(({ path, overwritesSave }) => (overwritesSave ? [path] : []))
  )
  return now.filter(({ path, overwritesSave }) => overwritesSave && !known.has(path))
}

/** The change to report of a path that is again as it was before the job. */
const UNDONE = { added: 'deleted', modified: 'modified', deleted: 'added' } as const

/** The changes of `before` whose paths are `now` again as they were when the job began. */
export function undoneChanges(before: readonly Change[], now: readonly Change[]): Change[] {
  const present = new Set(now.map(({ path }) => path))
  return before.filter(({ path }) => !present.has(path))
}

/**
 * The frames that bring a reader from `before` to `now`. A file that the job had added is `updated` when it changes
 * again. `restored` has the blob ids of files that are there again as they were; one without an id has been deleted
 * meanwhile, and the next read reports that.
 */
export function fileFrames(
  before: readonly Change[],
  now: readonly Change[],
  restored: ReadonlyMap<string, string> = new Map()
): Draft[] {
  const known = new Map(before.map((change) => [change.path, change]))

  const news = now.flatMap(({ path, status, sha }) => {
    const old = known.get(path)
    if (old?.sha === sha && old.status === status) return []
    const again = old !== undefined && old.status !== 'deleted' && status === 'added'
    return [frame(again ? 'modified' : status, path, sha)]
  })
  const undone = undoneChanges(before, now).flatMap(({ path, status }) => {
    const sha = status === 'added' ? null : restored.get(path)
    return sha === undefined ? [] : [frame(UNDONE[status], path, sha)]
  })
  return [...news, ...undone]
}
