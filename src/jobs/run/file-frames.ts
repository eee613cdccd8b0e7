import type { Draft, FileStatus } from '#kernel/frames.ts'

/** A path of the worktree that differs from the job's branch. */
export interface Change {
  readonly path: string
  readonly status: FileStatus
  readonly sha: string | null
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

/** What became of a path that was different and is now as it was before the job. */
const UNDONE = { added: 'deleted', modified: 'modified', deleted: 'added' } as const

/** What was different `before` and is `now` as it was when the job began. */
export function undoneChanges(before: readonly Change[], now: readonly Change[]): Change[] {
  const present = new Set(now.map(({ path }) => path))
  return before.filter(({ path }) => !present.has(path))
}

/**
 * The frames that tell a watcher, who knows `before`, what the worktree looks like `now`. A file that the job
 * had added is `updated` when it changes again. `restored` has the ids of files that are there again as they were; one
 * that it lacks is gone once more, and the next look tells of it.
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
