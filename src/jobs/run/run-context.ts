import { createMeter, createPurse, type Meter, type Purse, type Step } from '#billing'
import type { Workspace } from '#workspaces'
import type { JobId } from '#kernel/ids.ts'
import { JobFailure } from '#kernel/job-failures.ts'
import { microcredits, toCredits, type Microcredits } from '#kernel/money.ts'
import type { Lease } from '#ports/lock.ts'
import type { EventLog, FrameScope } from '#events'
import type { WorkerDeps } from '../job-deps.ts'
import { diskFull, onceThereIsRoom } from './disk-room.ts'
import { createFrameWriter, type FrameWriter } from './frame-writer.ts'
import { updateReserved, type JobRow } from '../stores/job-store.ts'

/** One running job: what the parts of its run share. */
export interface JobRun extends Disposable {
  readonly deps: WorkerDeps
  readonly job: JobRow
  readonly lease: Lease
  readonly scope: FrameScope
  readonly branch: string
  readonly workspace: Workspace
  readonly writer: FrameWriter
  /** Pays for the job's model requests, and counts them. */
  readonly purse: Purse
  /** Adds up the usage that the agent reported, and the steps that it reported. */
  readonly meter: Meter
  readonly reportedSteps: Step[]
  /** Aborts with a JobFailure as its reason when the job is to stop. */
  readonly signal: AbortSignal
  /** Aborts when this worker can do nothing more for the job: its lease is lost, or the server stops. */
  readonly giveUp: AbortSignal
  /** When the job has to end, by the monotonic clock. */
  readonly deadlineMs: number
  /** Stops the job for this reason; the first reason counts. */
  stop(failure: JobFailure): void
  /** The commit that its branch started from; undefined until the worktree is on that branch. */
  base: string | undefined
  /** The job whose held work it started from, if there was one. */
  basedOn: JobId | undefined
  /** Its commit, once there is one: from then on the work cannot be lost. */
  commit: string | null
  /** Model steps so far. */
  steps: number
  /** The credits that are held for it now. */
  reserved: Microcredits
  /** Fails the job although its turn completed. */
  unansweredPermission: JobFailure | undefined
}

/** `ai/session-<ulid>`: one branch a conversation. */
export const branchOf = (job: Pick<JobRow, 'session_id'>) =>
  `ai/session-${job.session_id.slice('ses_'.length)}`

/** Joins every reason to stop: the lost lease, a failed write, the timeout, the server's shutdown, a cancellation. */
export function openRun(
  deps: WorkerDeps,
  job: JobRow,
  lease: Lease,
  stopping: AbortSignal
): JobRun {
  const scope = { projectId: job.project_id, jobId: job.id, token: lease.token }
  // Frames wait while the disk is full; only a lost lease or the end of the server ends that.
  const giveUp = AbortSignal.any([stopping, lease.signal])
  const record: EventLog['record'] = (within, drafts) =>
    onceThereIsRoom(deps, giveUp, () => deps.events.record(within, drafts))
  const writer = createFrameWriter({ record }, scope, deps.clock)
  const stopper = new AbortController()
  const stop = (failure: JobFailure) => stopper.abort(failure)

  // These signals outlive the job: it removes its listeners when it ends.
  const over = new AbortController()
  const stopFor = (signal: AbortSignal, failure: () => JobFailure) => {
    if (signal.aborted) stop(failure())
    else signal.addEventListener('abort', () => stop(failure()), { signal: over.signal })
  }
  stopFor(lease.signal, () => new JobFailure('lease_lost', 'the lease of the project is lost'))
  stopFor(stopping, () => new JobFailure('interrupted', 'the server is stopping'))
  stopFor(writer.failed, () =>
    writer.failed.reason instanceof JobFailure
      ? writer.failed.reason
      : new JobFailure('interrupted', 'the history cannot be written')
  )
  const forgetDisk = deps.disk.onFull(() => stop(diskFull()))
  stopFor(AbortSignal.timeout(deps.settings.jobTimeoutMs), () => {
    const seconds = deps.settings.jobTimeoutMs / 1000
    return new JobFailure('job_timeout', `the job took longer than ${seconds} s`)
  })

  const run: JobRun = {
    deps,
    job,
    lease,
    scope,
    branch: branchOf(job),
    workspace: deps.workspaces.open(job.project_id),
    writer,
    purse: openPurse(deps, job, writer, (held) => (run.reserved = held)),
    meter: createMeter(deps.prices),
    reportedSteps: [],
    signal: stopper.signal,
    giveUp,
    deadlineMs: deps.clock.monotonicMs() + deps.settings.jobTimeoutMs,
    stop,
    base: undefined,
    basedOn: undefined,
    commit: null,
    steps: 0,
    reserved: microcredits(BigInt(job.reserved)),
    unansweredPermission: undefined,
    [Symbol.dispose]: () => {
      forgetDisk()
      over.abort()
    }
  }
  return run
}

/** Each finished request becomes a frame; a hold that grows is written to the job's row. */
function openPurse(
  { db, ledger, requests, settings }: Pick<WorkerDeps, 'db' | 'ledger' | 'requests' | 'settings'>,
  job: JobRow,
  writer: FrameWriter,
  onHeld: (held: Microcredits) => void
): Purse {
  const purse = createPurse({
    db,
    ledger,
    requests,
    holdId: job.id,
    stepCredits: settings.reserveCredits,
    maxCredits: job.max_credits === null ? null : microcredits(BigInt(job.max_credits)),
    onSpent() {
      const { cost, usage } = purse.total()
      const data = { credits: toCredits(cost), usage: { ...usage, metered: true }, final: false }
      writer.write({ type: 'job:credits-used', data })
    },
    async onHeld(held) {
      onHeld(held)
      await updateReserved(db, job.id, held)
    }
  })
  return purse
}
