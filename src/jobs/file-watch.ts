import { fileFrames, type Change } from './file-frames.ts'
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
    for (const draft of fileFrames(known, now)) run.writer.write(draft)
    known = now
    return known
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
