import assert from 'node:assert/strict'
import { smallestCost } from '#billing'
import { type Db } from '#db'
import { AppError } from '#kernel/errors.ts'
import { sessionId, type SessionId, type UserId } from '#kernel/ids.ts'
import { LIMITS } from '#kernel/limits.ts'
import { parseCredits, toCredits, ZERO, type Microcredits } from '#kernel/money.ts'
import { ownProject, type Project } from '#projects'
import { checkPath } from '#workspaces'
import type { ApiDeps } from '../job-deps.ts'
import { chooseMode, chooseModel } from './mode-and-model.ts'
import { countQueuedJobs, readRecentCosts } from '../stores/job-read-store.ts'
import type { AiCommand } from '../job-schemas.ts'
import type { NewJob } from '../stores/job-store.ts'
import { decideReserve } from './reserve-policy.ts'
import { readSession } from '../stores/session-store.ts'

const RECENT_JOBS = 20

/** What resolving a command needs. */
export type ResolveDeps = Pick<ApiDeps, 'ledger' | 'prices' | 'settings' | 'modes'>

/** A command whose open choices (mode, model, review) are made. */
export interface ResolvedCommand extends Omit<NewJob, 'id' | 'sessionId' | 'reserved'> {
  /** The conversation to continue; undefined for a new one. */
  readonly sessionId: SessionId | undefined
}

export interface Reserve {
  readonly amount: Microcredits
  readonly balance: Microcredits
  readonly recentCosts: readonly Microcredits[]
}

/** Resolves a command to a job of this user's project. Refuses a project, session, mode or model that does not exist. */
export async function resolveCommand(
  deps: ResolveDeps,
  db: Db,
  userId: UserId,
  projectId: string,
  command: AiCommand
): Promise<ResolvedCommand> {
  const project = await ownProject(db, userId, projectId)
  if (command.currentFilePath !== undefined) checkPath(command.currentFilePath)
  return {
    projectId: project.id,
    userId,
    text: command.text,
    mode: chooseMode(deps.modes(), command.mode),
    model: chooseModel(deps.prices, deps.settings, command.model),
    currentFilePath: command.currentFilePath ?? null,
    review: command.review ?? project.review,
    maxCredits: readMaxCredits(command.maxCredits),
    sessionId: await ownSession(db, project, command.sessionId)
  }
}

/** Decides how many credits a job reserves. Refuses with `queue_full` and `insufficient_credits`, which no agent is started for. */
export async function planReserve(
  deps: ResolveDeps,
  db: Db,
  resolved: ResolvedCommand
): Promise<Reserve> {
  if ((await countQueuedJobs(db, resolved.projectId)) >= LIMITS.jobsQueuedPerProjectMax) {
    throw new AppError(
      'queue_full',
      `This project has ${LIMITS.jobsQueuedPerProjectMax} queued jobs, which is the limit: wait until one starts`,
      {
        retryAfterSeconds: 10
      }
    )
  }
  const recentCosts = await readRecentCosts(db, resolved, RECENT_JOBS)
  const { balance } = await deps.ledger.wallet(db, resolved.userId)
  const minimum = deps.settings.reserveCredits
  const amount = decideReserve({ minimum, recentCosts, maxCredits: resolved.maxCredits, balance })
  const smallest = smallestCostOf(deps, resolved)
  if (balance < smallest) throw noCredits(balance, smallest)
  if (resolved.maxCredits !== null && resolved.maxCredits < smallest) throw tooLowMaximum(smallest)
  return { amount, balance, recentCosts }
}

/** With less a job could not even send its first model request. */
export function smallestCostOf({ prices }: ResolveDeps, { model, text }: ResolvedCommand) {
  const price = prices.find(model)
  assert.ok(price, 'a chosen model has a price')
  return smallestCost(text, price)
}

/** The refusal of a job that the wallet cannot pay for. */
export const noCredits = (balance: Microcredits, smallest: Microcredits) =>
  new AppError(
    'insufficient_credits',
    `The wallet has ${toCredits(balance)} credits, and this job needs at least ${toCredits(smallest)}: buy some with POST /wallet/purchase`,
    { balance: toCredits(balance), creditsNeeded: toCredits(smallest) }
  )

const tooLowMaximum = (smallest: Microcredits) =>
  new AppError(
    'insufficient_credits',
    `maxCredits is too low: this job needs at least ${toCredits(smallest)} credits`,
    { creditsNeeded: toCredits(smallest) }
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
