import { fileFrames, undoneChanges, type Change } from './file-frames.ts'
import type { JobRun } from './job-run.ts'

export interface FileWatch {
  /** Looks at the worktree soon; looks that come while one is waiting are one look. */
  glance(): void
  /** Looks now, and answers what the job has changed so far. */
  look(): Promise<readonly Change[]>
}

/** Tells from the disk what the agent did to files: a shell command writes them too, and says nothing. */
export function createFileWatch(run: JobRun): FileWatch {
  let known: readonly Change[] = []
  let looking: Promise<unknown> = Promise.resolve()
  let glancing = false

  const lookNow = async () => {
    const now = await run.workspace.changes()
    const restored = await readIds(undoneChanges(known, now))
    for (const draft of fileFrames(known, now, restored)) run.writer.write(draft)
    known = now
    return known
  }
  /** The ids that these files have now; those that are not there have none. */
  const readIds = async (changes: readonly Change[]) => {
    const ids = new Map<string, string>()
    for (const { path, status } of changes) {
      if (status === 'added') continue
      const file = await run.workspace.read(path).catch(() => undefined)
      if (file) ids.set(path, file.sha)
    }
    return ids
  }
  const look = () => {
    const next = looking.then(lookNow)
    looking = next.catch(() => {})
    return next
  }

  return {
    look,
    glance() {
      if (glancing) return
      glancing = true
      looking = looking.then(async () => {
        glancing = false
        await lookNow().catch((err: unknown) =>
          run.deps.log.warn({ err, jobId: run.job.id }, 'worktree could not be read')
        )
      })
    }
  }
}
