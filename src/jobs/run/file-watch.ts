import { createSerialQueue } from '#kernel/waiting.ts'
import { fileFrames, risks, undoneChanges, type Change } from './file-frames.ts'
import type { JobRun } from './run-context.ts'

export interface FileWatch {
  /** Reads the worktree soon; calls while a read is scheduled are coalesced into it. */
  schedule(): void
  /** The turn uses tools: a process that a tool started may write at any time until the agent has ended it. */
  toolSeen(): void
  /**
   * What the job has changed so far. Reads the worktree now, unless the turn used no tool and the last scheduled read began
   * after everything else.
   */
  read(): Promise<readonly Change[]>
}

/** Reports what the agent did to files by comparing the worktree with git: a shell command writes without an event. */
export function createFileWatch(run: JobRun): FileWatch {
  const inOrder = createSerialQueue()
  let known: readonly Change[] = []
  let isScheduled = false
  let isCurrent = false
  let usesTools = false

  const readNow = async () => {
    const now = await run.workspace.changes()
    // The worktree is not on the job's branch yet: what differs is not the job's.
    if (run.base === undefined) return known
    const restored = await readIds(undoneChanges(known, now))
    for (const draft of fileFrames(known, now, restored)) run.writer.write(draft)
    for (const { path } of risks(known, now)) {
      const data = { path, jobId: run.job.id, by: 'agent' as const }
      run.writer.write({ type: 'job:conflict-risk', data })
    }
    known = now
    isCurrent = true
    return known
  }
  /** The blob ids that these files have now; files that are absent have none. */
  const readIds = async (changes: readonly Change[]) => {
    const ids = new Map<string, string>()
    for (const { path, status } of changes) {
      if (status === 'added') continue
      const file = await run.workspace.read(path).catch(() => undefined)
      if (file) ids.set(path, file.sha)
    }
    return ids
  }

  return {
    read: () => inOrder(async () => (isCurrent && !usesTools ? known : readNow())),
    toolSeen() {
      usesTools = true
    },
    schedule() {
      if (isScheduled) return
      isScheduled = true
      void inOrder(async () => {
        isScheduled = false
        await readNow()
      }).catch((err: unknown) =>
        run.deps.log.warn({ err, jobId: run.job.id }, 'failed to read the worktree')
      )
    }
  }
}
