import type { TurnOutcome } from '#kernel/agent-events.ts'
import { JobFailure } from '#kernel/job-failures.ts'
import { unlessAborted } from '#kernel/waiting.ts'
import type { Lease } from '#ports/lock.ts'
import type { Agent } from '#supervisor'
import { finishJob, type JobResult } from '../finish/finish-job.ts'
import type { WorkerDeps } from '../job-deps.ts'
import { readJob } from '../stores/job-read-store.ts'
import { updateJobBase, updateJobStatus, type JobRow } from '../stores/job-store.ts'
import { readSession, updateAgentSession } from '../stores/session-store.ts'
import { onceThereIsRoom } from './disk-room.ts'
import { decideEnd, toJobFailure, type JobEnding, type TurnEnd } from './end-policy.ts'
import { createFileWatch, type FileWatch } from './file-watch.ts'
import { handleEvent } from './handle-event.ts'
import { standOnHeldWork } from './held-work.ts'
import { openInbox } from './job-inbox.ts'
import { openRun, type JobRun } from './run-context.ts'
import { inWorkspace, keepWork, salvageWork } from './keep-work.ts'
import { passAnswer, refuseExpired } from './prompts.ts'

/** Carries out one prompt, from a claimed job to its last frame. Every failure on the way becomes the job's end. */
export async function runJob(
  deps: WorkerDeps,
  job: JobRow,
  lease: Lease,
  stopping: AbortSignal
): Promise<void> {
  using run = openRun(deps, job, lease, stopping)
  const files = createFileWatch(run)

  const end = await takeTurn(run, files).then(
    (outcome) => endOf(run, { outcome }),
    (error: unknown) => endOf(run, { error })
  )
  const result = await keepOrSalvage(run, files, end)
  await run.writer.flush()
  const reported = { steps: run.reportedSteps, ...run.meter.total() }
  const finish = () => finishJob(deps, job, lease.token, { ...result, reported })
  await onceThereIsRoom(deps, run.giveUp, finish)
}

function endOf(run: JobRun, turn: Pick<TurnEnd, 'outcome' | 'error'>): JobEnding {
  const { signal, unansweredPermission, job, deps } = run
  const stopReason = signal.reason instanceof JobFailure ? signal.reason : undefined
  const { model } = job
  const { defaultModel } = deps.settings
  return decideEnd({ ...turn, stopReason, unansweredPermission, model, defaultModel })
}

/** Follows the decision. Work that cannot be kept after all is salvaged, for the reason that prevented it. */
async function keepOrSalvage(run: JobRun, files: FileWatch, end: JobEnding): Promise<Concluded> {
  if (end.kind === 'fail') {
    const salvage = () => salvageWork(run, files, end.failure)
    return onceThereIsRoom(run.deps, run.giveUp, salvage)
  }
  try {
    await settle(run)
    return { ...(await keepWork(run, files)), failure: null }
  } catch (error) {
    return keepOrSalvage(run, files, endOf(run, { error }))
  }
}

type Concluded = Omit<JobResult, 'reported'>

async function takeTurn(run: JobRun, files: FileWatch): Promise<TurnOutcome | undefined> {
  const { deps, job, signal } = run
  using borrowed = deps.supervisor.borrow(job.project_id, run.workspace.worktree, signal)
  await using _inbox = openInbox(deps, job.id, {
    onCancel: () => run.stop(cancelled()),
    onAnswer: async (prompt) => passAnswer(run, await borrowed.agent, prompt),
    onExpired: async (prompt) => refuseExpired(run, await borrowed.agent, prompt)
  })

  // Kilo receives the prompt meanwhile: the gateway holds its model requests, and so its tools, until the branch is open.
  await using branch = openBranch(run)
  // A Kilo that hangs must not hold up a job that was asked to stop.
  const finding = unlessAborted(findConversation(run, borrowed.agent), signal)
  const { agent, agentSessionId } = await finding
  await begin(run, agentSessionId)

  // Released before the work is kept: by then the cost of the last requests is known.
  await using account = deps.gateway.bind(job.project_id, {
    purse: run.purse,
    model: job.model,
    agentSessionId,
    ready: branch.opened,
    onExhausted: () => run.stop(exhausted()),
    onRateLimited: (waitMs) => stopUnlessWorthWaiting(run, waitMs)
  })
  const turn = { ...turnOf(job, agentSessionId), token: account.turnToken }
  let outcome: TurnOutcome | undefined
  for await (const event of agent.runTurn(turn, signal)) {
    outcome ??= await handleEvent(run, agent, files, event)
  }
  return outcome
}

const turnOf = (job: JobRow, agentSessionId: string) => ({
  agentSessionId,
  mode: job.mode,
  model: job.model,
  text: job.text,
  currentFilePath: job.current_file_path ?? undefined
})

interface OpeningBranch extends AsyncDisposable {
  /** Rejects when the worktree cannot be moved to the branch; then the job is stopping. */
  readonly opened: Promise<void>
}

/**
 * Moves the worktree to the conversation's branch, which continues from work that waits for review, or else starts from
 * main. Disposing it waits for the end of that, so that nothing of it runs on concurrently with what comes next.
 */
function openBranch(run: JobRun): OpeningBranch {
  const { deps, job, branch, workspace } = run
  const open = async () => {
    const commit = await standOnHeldWork(run)
    const from = commit === null ? ('main' as const) : { commit }
    const { base } = await inWorkspace(workspace.startJob(branch, { job: job.id, from }))
    run.base = base
    if (!(await updateJobBase(deps.db, job.id, run.lease.token, base))) throw overtaken()
  }
  const opened = open()
  const settled = opened.catch((error: unknown) => run.stop(toJobFailure(error)))
  return { opened, [Symbol.asyncDispose]: () => settled }
}

/** The agent once it has started, and the conversation of its own that belongs to this session, or a new one. */
async function findConversation({ deps, job }: JobRun, starting: Promise<Agent>) {
  const [agent, session] = await Promise.all([starting, readSession(deps.db, job.session_id)])
  const known = session?.agent_session_id
  if (known && (await agent.hasSession(known))) return { agent, agentSessionId: known }
  return { agent, agentSessionId: await agent.openSession() }
}

/** Records that the prompt is about to be sent, so that it is never sent a second time. */
async function begin(run: JobRun, agentSessionId: string): Promise<void> {
  const { deps, job, branch } = run
  run.signal.throwIfAborted()
  const now = deps.clock.now()
  const begun = await updateJobStatus(deps.db, job.id, run.lease.token, 'running', {
    branch,
    agent_session_id: agentSessionId,
    prompt_sent_at: now
  })
  if (!begun) throw overtaken()
  await updateAgentSession(deps.db, job.session_id, agentSessionId, now)
  const { isolation, network, uid } = deps.supervisor
  run.writer.write({
    type: 'job:running',
    data: { branch, sessionId: job.session_id, model: job.model, isolation, network, uid }
  })
}

/** From here on the job can only succeed: a request to cancel it must have come before. */
async function settle({ deps, job, lease }: JobRun): Promise<void> {
  if (await updateJobStatus(deps.db, job.id, lease.token, 'settling')) return
  const row = await readJob(deps.db, job.id)
  if (row?.cancel_requested_at && row.token === String(lease.token)) throw cancelled()
  throw overtaken()
}

/** A job does not wait for a provider longer than it is allowed to, or than it has left. */
function stopUnlessWorthWaiting({ deps, deadlineMs, stop }: JobRun, waitMs: number): void {
  const now = deps.clock.now()
  const leftMs = deadlineMs - deps.clock.monotonicMs()
  if (waitMs <= Math.min(deps.settings.modelRetryWaitMaxMs, leftMs)) return
  const at = new Date(Math.min(now.getTime() + waitMs, LATEST_TIME)).toISOString()
  const seconds = Math.ceil(waitMs / 1000)
  const message = `the model provider accepts the next request in ${seconds} s, at ${at}`
  stop(new JobFailure('model_rate_limited', message))
}

/** The latest time that a date can hold. */
const LATEST_TIME = 8.64e15

const cancelled = () => new JobFailure('cancelled', 'the job was cancelled')
const overtaken = () => new JobFailure('lease_lost', 'another worker has taken over this job')
const exhausted = () =>
  new JobFailure('credits_exhausted', 'the job has used all credits that it may use')
