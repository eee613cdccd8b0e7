import { inTransaction, type Db, type Tx } from '#db'
import { AppError } from '#kernel/errors.ts'
import { jobId, sessionId, type SessionId, type UserId } from '#kernel/ids.ts'
import { LIMITS } from '#kernel/limits.ts'
import { microcredits, parseCredits, toCredits, ZERO, type Microcredits } from '#kernel/money.ts'
import { firstLine } from '#kernel/text.ts'
import { ownProject, type Project } from '#projects'
import type { JobDeps } from './job-deps.ts'
import type { AiCommand, Submitted } from './job-schemas.ts'
import { countJobsAhead, countQueuedJobs, readRecentCosts } from './job-read-store.ts'
import { insertJob, type JobRow, type NewJob } from './job-store.ts'
import { chooseMode, chooseModel } from './job-choices.ts'
import { decideReserve } from './reserve-policy.ts'
import { insertSession, readSession } from './session-store.ts'

const RECENT_JOBS = 20
const TITLE_CHARS_MAX = 80

type Wish = Omit<NewJob, 'id' | 'sessionId' | 'reserved'>

/**
 * Accepts a prompt: credits held, job written `queued`, `job:queued` in the history, all in one transaction;
 * only then the doorbell. Nothing is spent before that, and a lost ring is rung again by the sweep.
 */
export async function submitJob(
  deps: JobDeps,
  userId: UserId,
  projectId: string,
  command: AiCommand
): Promise<Submitted> {
  const project = await ownProject(deps.db, userId, projectId)
  const wish = readWish(deps, project, userId, command)
  const known = await ownSession(deps.db, project, command.sessionId)

  const { job, position } = await inTransaction(deps.db, async (tx) => {
    const id = jobId.create()
    // The wallet first, as everybody does: it is what two requests at once wait for.
    const reserved = await reserve(deps, tx, id, wish)
    await refuseFullQueue(tx, project)
    const session =
      known ?? (await insertSession(tx, project.id, firstLine(wish.text, TITLE_CHARS_MAX))).id
    const job = await insertJob(tx, { ...wish, id, sessionId: session, reserved })
    const position = await countJobsAhead(tx, job)
    await deps.events.append(tx, { projectId: project.id, jobId: id }, [queuedFrame(job, position)])
    return { job, position }
  })

  deps.events.announce(project.id)
  deps.queue.ring(project.id)
  deps.log.info({ projectId: project.id, jobId: job.id, position }, 'job queued')
  return {
    jobId: job.id,
    status: 'queued',
    creditsReserved: toCredits(microcredits(BigInt(job.reserved))),
    sessionId: job.session_id,
    position
  }
}

function readWish(deps: JobDeps, project: Project, userId: UserId, command: AiCommand): Wish {
  return {
    projectId: project.id,
    userId,
    text: command.text,
    mode: chooseMode(deps.supervisor.modes(), command.mode),
    model: chooseModel(deps.prices, deps.settings, command.model),
    currentFilePath: command.currentFilePath ?? null,
    review: command.review ?? project.review,
    maxCredits: readMaxCredits(command.maxCredits)
  }
}

function readMaxCredits(wanted: number | undefined): Microcredits | null {
  if (wanted === undefined) return null
  const amount = parseCredits(wanted)
  if (amount === undefined || amount === ZERO) {
    throw new AppError('invalid_request', 'maxCredits is a positive number of at most six decimals')
  }
  return amount
}

/** The conversation that goes on; undefined for a new one. */
async function ownSession(
  db: Db,
  project: Project,
  id: string | undefined
): Promise<SessionId | undefined> {
  if (id === undefined) return undefined
  const known = sessionId.parse(id)
  const session = known && (await readSession(db, known))
  if (session?.project_id !== project.id) {
    throw new AppError('not_found', `This project has no session ${id}`)
  }
  return session.id
}

async function refuseFullQueue(tx: Tx, project: Project): Promise<void> {
  if ((await countQueuedJobs(tx, project.id)) < LIMITS.jobsQueuedPerProjectMax) return
  throw new AppError('queue_full', `${LIMITS.jobsQueuedPerProjectMax} jobs are waiting already`, {
    retryAfterSeconds: 10
  })
}

/** Holds what the policy says. */
async function reserve(deps: JobDeps, tx: Tx, id: string, wish: Wish): Promise<Microcredits> {
  const amount = decideReserve({
    minimum: deps.settings.reserveCredits,
    recentCosts: await readRecentCosts(tx, wish, RECENT_JOBS),
    maxCredits: wish.maxCredits,
    balance: (await deps.ledger.wallet(tx, wish.userId)).balance
  })
  if (amount > ZERO) {
    const memo = { jobId: id, model: wish.model, mode: wish.mode }
    const held = await deps.ledger.hold(tx, { holdId: id, userId: wish.userId, amount, memo })
    if (held.kind !== 'short') return amount
  }
  throw new AppError('insufficient_credits', 'The wallet has no credits left for this job')
}

const queuedFrame = (job: JobRow, position: number) =>
  ({
    type: 'job:queued',
    data: {
      text: job.text,
      mode: job.mode,
      model: job.model,
      position,
      creditsReserved: toCredits(microcredits(BigInt(job.reserved)))
    }
  }) as const
