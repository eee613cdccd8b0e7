import { type Db } from '#db'
import { AppError } from '#kernel/errors.ts'
import { sessionId, type SessionId, type UserId } from '#kernel/ids.ts'
import { LIMITS } from '#kernel/limits.ts'
import { parseCredits, ZERO, type Microcredits } from '#kernel/money.ts'
import { ownProject, type Project } from '#projects'
import type { JobDeps } from '../job-deps.ts'
import { chooseMode, chooseModel } from './mode-and-model.ts'
import { countQueuedJobs, readRecentCosts } from '../stores/job-read-store.ts'
import type { AiCommand } from '../job-schemas.ts'
import type { NewJob } from '../stores/job-store.ts'
import { decideReserve } from './reserve-policy.ts'
import { readSession } from '../stores/session-store.ts'

const RECENT_JOBS = 20

/** What deciding about a command needs to look at. */
export type ResolveDeps = Pick<JobDeps, 'ledger' | 'prices' | 'settings'> & {
  readonly supervisor: Pick<JobDeps['supervisor'], 'modes'>
}

/** A command with everything chosen that it left open. */
export interface ResolvedCommand extends Omit<NewJob, 'id' | 'sessionId' | 'reserved'> {
  /** The conversation that goes on; undefined for a new one. */
  readonly sessionId: SessionId | undefined
}

export interface Reserve {
  readonly amount: Microcredits
  readonly balance: Microcredits
  readonly recentCosts: readonly Microcredits[]
}

/** Reads a command as a job of this user's project, or refuses what could never become one. */
export async function resolveCommand(
  deps: ResolveDeps,
  db: Db,
  userId: UserId,
  projectId: string,
  command: AiCommand
): Promise<ResolvedCommand> {
  const project = await ownProject(db, userId, projectId)
  return {
    projectId: project.id,
    userId,
    text: command.text,
    mode: chooseMode(deps.supervisor.modes(), command.mode),
    model: chooseModel(deps.prices, deps.settings, command.model),
    currentFilePath: command.currentFilePath ?? null,
    review: command.review ?? project.review,
    maxCredits: readMaxCredits(command.maxCredits),
    sessionId: await ownSession(db, project, command.sessionId)
  }
}

/** Decides what the job sets aside, here and for whoever only wants to know; refuses what cannot begin now. */
export async function planReserve(
  deps: ResolveDeps,
  db: Db,
  resolved: ResolvedCommand
): Promise<Reserve> {
  if ((await countQueuedJobs(db, resolved.projectId)) >= LIMITS.jobsQueuedPerProjectMax) {
    throw new AppError('queue_full', `${LIMITS.jobsQueuedPerProjectMax} jobs are waiting already`, {
      retryAfterSeconds: 10
    })
  }
  const recentCosts = await readRecentCosts(db, resolved, RECENT_JOBS)
  const { balance } = await deps.ledger.wallet(db, resolved.userId)
  const minimum = deps.settings.reserveCredits
  const amount = decideReserve({ minimum, recentCosts, maxCredits: resolved.maxCredits, balance })
  if (amount === ZERO) throw noCredits()
  return { amount, balance, recentCosts }
}

export const noCredits = () =>
  new AppError(
    'insufficient_credits',
    'The wallet has no credits left for this job: POST /wallet/purchase adds some'
  )

function readMaxCredits(wanted: number | undefined): Microcredits | null {
  if (wanted === undefined) return null
  const amount = parseCredits(wanted)
  if (amount === undefined || amount === ZERO) {
    throw new AppError('invalid_request', 'maxCredits must be positive, with at most six decimals')
  }
  return amount
}

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
