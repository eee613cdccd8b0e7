import { randomBytes, timingSafeEqual } from 'node:crypto'
import type { Purse } from '#billing'
import type { Clock } from '#kernel/clock.ts'
import type { ProjectId } from '#kernel/ids.ts'
import { digestOf } from './tokens.ts'
import type { Attribution } from './headers.ts'
import { GatewayRefusal } from './refusal.ts'
import { createSharedCredits, type SharedCredits } from './shared-credits.ts'

/** The job that pays for the model requests of a project's agent. */
export interface Account {
  readonly purse: Purse
  /** The only allowed model, as `provider/model`. */
  readonly model: string
  /** The root of the conversations that may spend: its sub-agents follow. */
  readonly agentSessionId: string
  /** Requests wait for it, and are refused when it rejects: the agent must not act before. */
  readonly ready: Promise<unknown>
  /** Called when the credits do not cover a request. */
  readonly onExhausted: () => void
  /** Called when the provider refuses a request and accepts the next one after so long. */
  readonly onRateLimited: (waitMs: number) => void
}

/** The account of a running job, and its requests in progress. */
export interface OpenAccount extends Account {
  readonly projectId: ProjectId
  /** Aborts when the job has ended and its requests have not completed in time. */
  readonly signal: AbortSignal
  /** How its concurrent requests wait for each other. */
  readonly credits: SharedCredits
  /** Keeps the account open until the work has finished. */
  during<T>(work: Promise<T>): Promise<T>
}

/** Disposing it ends the account and its token. */
export interface BoundAccount extends AsyncDisposable {
  /** The capability token of this job, which its requests carry besides the agent's. */
  readonly turnToken: string
}

/** The proof that a request belongs to the running job. */
export interface Claim extends Attribution {
  readonly turnToken: string | undefined
}

export interface Accounts {
  bind(projectId: ProjectId, account: Account): BoundAccount
  /** Refuses a request without a running job, without that job's token, or of another conversation. */
  find(projectId: ProjectId, claim: Claim): OpenAccount
}

interface AccountOptions {
  /** How long requests in progress may still report their usage when their job has ended. */
  readonly usageWaitMs: number
  /** How long a request waits for what its siblings give back. */
  readonly shareWaitMs: number
  readonly clock: Pick<Clock, 'monotonicMs' | 'sleep'>
}

interface Bound {
  readonly account: OpenAccount
  readonly tokenDigest: Buffer
  /** The conversations that may spend. */
  readonly sessions: Set<string>
}

const TOKEN_BYTES = 32
/** More sub-agents than a job's steps allow. */
const SESSIONS_MAX = 1000

/**
 * One account per project while its job runs, with a token of its own. The token is what separates two jobs of one
 * agent; the session headers only keep Kilo's own leftovers of another conversation out, since any process of the room can
 * write them. Closing it rejects new requests, waits up to `usageWaitMs` for requests in
 * progress to report their usage, and then aborts them: they are charged by what is known then.
 */
export function createAccounts({ usageWaitMs, shareWaitMs, clock }: AccountOptions): Accounts {
  const open = new Map<ProjectId, Bound>()

  return {
    bind(projectId, account) {
      const stopper = new AbortController()
      // The job knows: it is stopping then.
      account.ready.catch(() => {})
      const inProgress = new Set<Promise<unknown>>()
      const it: OpenAccount = {
        ...account,
        projectId,
        signal: stopper.signal,
        credits: createSharedCredits(shareWaitMs, clock),
        during(work) {
          inProgress.add(work)
          return work.finally(() => inProgress.delete(work))
        }
      }
      const turnToken = `gt_${randomBytes(TOKEN_BYTES).toString('base64url')}`
      open.set(projectId, {
        account: it,
        tokenDigest: digestOf(turnToken),
        sessions: new Set([account.agentSessionId])
      })
      let closing: Promise<void> | undefined

      const close = async () => {
        if (open.get(projectId)?.account === it) open.delete(projectId)
        if (inProgress.size === 0) return
        const timer = setTimeout(() => stopper.abort(), usageWaitMs)
        while (inProgress.size > 0) await Promise.allSettled(inProgress)
        clearTimeout(timer)
      }
      return { turnToken, [Symbol.asyncDispose]: () => (closing ??= close()) }
    },

    find(projectId, claim) {
      const bound = open.get(projectId)
      if (!bound) throw new GatewayRefusal('no_job', 'No job of this project is running.')
      const digest = digestOf(claim.turnToken ?? '')
      if (!timingSafeEqual(digest, bound.tokenDigest)) {
        throw new GatewayRefusal('wrong_turn', 'The request has no token of the running job.')
      }
      if (!belongs(bound.sessions, claim)) {
        throw new GatewayRefusal('wrong_session', 'The request is not of the running conversation.')
      }
      return bound.account
    }
  }
}

/** Whether the conversation is the job's, or of a sub-agent below it; a new sub-agent joins them. */
function belongs(sessions: Set<string>, { agentSessionId, parentSessionId }: Attribution): boolean {
  if (agentSessionId === null) return false
  if (sessions.has(agentSessionId)) return true
  if (parentSessionId === null || !sessions.has(parentSessionId)) return false
  if (sessions.size >= SESSIONS_MAX) return false
  sessions.add(agentSessionId)
  return true
}
