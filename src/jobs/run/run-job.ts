import type { TurnOutcome } from '#kernel/agent-events.ts'
import { JobFailure } from '#kernel/job-failures.ts'
import { unlessAborted } from '#kernel/waiting.ts'
import type { Lease } from '#ports/lock.ts'
import type { Agent } from '#supervisor'
import { passAnswer, refuseForSilence } from './prompts.ts'
import { createFileWatch, type FileWatch } from './file-watch.ts'
import { finishJob } from '../finish/finish-job.ts'
import { handleEvent } from './handle-event.ts'
import type { JobDeps } from '../job-deps.ts'
import { openInbox } from './job-inbox.ts'
import { openRun, type JobRun } from './job-run.ts'
import { readHeldCommit, readJob } from '../stores/job-read-store.ts'
import { updateJobStatus, type JobRow } from '../stores/job-store.ts'
import { inWorkspace, keepWork, salvageWork, type Kept } from './keep-work.ts'
import { readSession, updateAgentSession } from '../stores/session-store.ts'

/** One prompt, from a claimed job to its last frame. Whatever happens on the way becomes the job's end. */
export async function runJob(
  deps: JobDeps,
  job: JobRow,
  lease: Lease,
  stopping: AbortSignal
): Promise<void> {
  using run = openRun(deps, job, lease, stopping)
  const files = createFileWatch(run)

  const result = await carryOut(run, files).then(
    (kept) => ({ ...kept, failure: null }),
    (error: unknown) => salvageWork(run, files, error)
  )
  await run.writer.flush()
  const told = { steps: run.heard, ...run.meter.total() }
  await finishJob(deps, job, lease.token, { ...result, told })
}

/** The good way: worktree and agent made ready, the prompt carried out, the work kept. */
async function carryOut(run: JobRun, files: FileWatch): Promise<Kept> {
  const outcome = await takeTurn(run, files)
  if (outcome.kind === 'failed') throw new JobFailure(outcome.reason, outcome.message)
  if (outcome.kind === 'interrupted') throw interruption(run)
  if (run.verdict) throw run.verdict
  run.signal.throwIfAborted()

  await settle(run)
  return keepWork(run, files)
}

async function takeTurn(run: JobRun, files: FileWatch): Promise<TurnOutcome> {
  const { deps, job, signal } = run
  using borrowed = deps.supervisor.borrow(job.project_id, run.workspace.worktree, signal)
  await using _inbox = openInbox(deps, job.id, {
    onCancel: () => run.stop(cancelled()),
    onAnswer: async (prompt) => passAnswer(run, await borrowed.agent, prompt),
    onExpired: async (prompt) => refuseForSilence(run, await borrowed.agent, prompt)
  })

  // A Kilo that hangs must not keep a job that was told to stop.
  const finding = unlessAborted(findConversation(run, borrowed.agent), signal)
  const [{ agent, agentSessionId }] = await both(finding, openBranch(run))
  await begin(run, agentSessionId)

  let outcome: TurnOutcome | undefined
  const { mode, model, text } = job
  const context = job.current_file_path === null ? {} : { currentFilePath: job.current_file_path }
  const turn = { agentSessionId, mode, model, text, ...context }
  // Left before the work is kept: what the last requests cost is known then.
  await using _account = deps.gateway.bind(job.project_id, {
    purse: run.purse,
    models: [job.model, deps.settings.defaultModel],
    onExhausted: () =>
      run.stop(new JobFailure('credits_exhausted', 'the job has used up what it may cost'))
  })
  for await (const event of agent.runTurn(turn, signal)) {
    outcome ??= await handleEvent(run, agent, files, event)
  }
  return outcome ?? { kind: 'interrupted' }
}

/** Waits for both even when one fails: nothing may go on behind the back of what comes next. */
async function both<A, B>(a: Promise<A>, b: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([a, b])
  return Promise.all([a, b])
}

/** Held work is gone on with; after anything else the conversation's branch starts from main again. */
async function openBranch(run: JobRun): Promise<void> {
  const commit = await readHeldCommit(run.deps.db, run.job)
  const from = commit === null ? ('main' as const) : { commit }
  const started = run.workspace.startJob(run.branch, { job: run.job.id, from })
  run.base = (await inWorkspace(started)).base
}

/** The agent once it is there, and its own conversation that belongs to this session, or a new one. */
async function findConversation({ deps, job }: JobRun, starting: Promise<Agent>) {
  const [agent, session] = await Promise.all([starting, readSession(deps.db, job.session_id)])
  const known = session?.agent_session_id
  if (known && (await agent.hasSession(known))) return { agent, agentSessionId: known }
  return { agent, agentSessionId: await agent.openSession(session?.title ?? job.text) }
}

/** Writes down that the prompt is about to be sent, so that nobody sends it a second time. */
async function begin(run: JobRun, agentSessionId: string): Promise<void> {
  const { deps, job, branch, base } = run
  run.signal.throwIfAborted()
  const begun = await updateJobStatus(deps.db, job.id, run.lease.token, 'running', {
    branch,
    ...(base === undefined ? {} : { base }),
    agent_session_id: agentSessionId,
    prompt_sent_at: deps.clock.now()
  })
  if (!begun) throw overtaken()
  await updateAgentSession(deps.db, job.session_id, agentSessionId)
  run.writer.write({
    type: 'job:running',
    data: { branch, sessionId: job.session_id, model: job.model }
  })
}

/** From here on the job can only end well: whoever wanted to cancel it must have said so by now. */
async function settle({ deps, job, lease }: JobRun): Promise<void> {
  if (await updateJobStatus(deps.db, job.id, lease.token, 'settling')) return
  const row = await readJob(deps.db, job.id)
  if (row?.cancel_requested_at && row.token === String(lease.token)) throw cancelled()
  throw overtaken()
}

const cancelled = () => new JobFailure('cancelled', 'the job was cancelled')
const overtaken = () => new JobFailure('lease_lost', 'another worker has taken over this job')

/** Why an interrupted turn was interrupted: our own wish, or the agent's death. */
const interruption = ({ signal }: JobRun) =>
  signal.reason instanceof JobFailure
    ? signal.reason
    : new JobFailure('agent_crashed', 'the agent stopped in the middle of its turn')
