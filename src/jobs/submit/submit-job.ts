import { priceMemo } from '#billing'
import { inTransaction, type Tx } from '#db'
import { jobId, type JobId, type ReservedUlid, type UserId } from '#kernel/ids.ts'
import { microcredits, toCredits, type Microcredits } from '#kernel/money.ts'
import { firstLine } from '#kernel/text.ts'
import type { ApiDeps } from '../job-deps.ts'
import type { AiCommand, Submitted } from '../job-schemas.ts'
import { countJobsAhead, readJob } from '../stores/job-read-store.ts'
import { insertJob, type JobRow } from '../stores/job-store.ts'
import {
  noCredits,
  planReserve,
  resolveCommand,
  smallestCostOf,
  type ResolvedCommand,
  type ResolveDeps
} from './resolve-command.ts'
import { insertSession } from '../stores/session-store.ts'

const TITLE_CHARS_MAX = 80

export type SubmitDeps = ResolveDeps & Pick<ApiDeps, 'db' | 'events' | 'queue' | 'log'>

/**
 * Accepts a prompt: in one transaction the credits are held, the job is written as `queued` and `job:queued` into the
 * history; then the queue rings. A lost ring is repeated by the sweep. Idempotent by `reservedId`: a job of that id, which an
 * earlier attempt of the same request has made, is the answer.
 */
export async function submitJob(
  deps: SubmitDeps,
  userId: UserId,
  projectId: string,
  command: AiCommand,
  reservedId: ReservedUlid
): Promise<Submitted> {
  const existing = await findExisting(deps, reservedId)
  if (existing) return existing
  const resolved = await resolveCommand(deps, deps.db, userId, projectId, command)

  const { job, position, appended } = await inTransaction(deps.db, async (tx) => {
    const id = jobId.from(reservedId)
    // The wallet is locked first, as everywhere: this order of locks excludes deadlocks.
    const reserved = await reserve(deps, tx, id, resolved)
    const sessionId =
      resolved.sessionId ?? (await insertSession(tx, resolved.projectId, titleOf(resolved))).id
    const job = await insertJob(tx, { ...resolved, id, sessionId, reserved })
    const position = await countJobsAhead(tx, job)
    const scope = { projectId: resolved.projectId, jobId: id }
    const appended = await deps.events.append(tx, scope, [queuedFrame(job, position)])
    return { job, position, appended }
  })

  deps.events.announce(job.project_id, appended)
  deps.queue.ring(job.project_id)
  deps.log.info({ projectId: job.project_id, jobId: job.id, position }, 'job queued')
  return answerOf(job, position)
}

/** The job that an earlier attempt of the same request has made, in whatever state it is now. */
export async function findExisting(
  { db }: Pick<ApiDeps, 'db'>,
  reservedId: ReservedUlid
): Promise<Submitted | undefined> {
  const job = reservedId.mayExist ? await readJob(db, jobId.from(reservedId)) : undefined
  return job && answerOf(job, await countJobsAhead(db, job))
}

const answerOf = (job: JobRow, position: number): Submitted => ({
  jobId: job.id,
  status: 'queued',
  creditsReserved: toCredits(microcredits(BigInt(job.reserved))),
  sessionId: job.session_id,
  position
})

/** Holds the amount that was decided; when the balance has shrunk meanwhile, the rest of it. */
async function reserve(
  deps: ResolveDeps,
  tx: Tx,
  id: JobId,
  resolved: ResolvedCommand
): Promise<Microcredits> {
  const { amount } = await planReserve(deps, tx, resolved)
  const memo = {
    jobId: id,
    prompt: titleOf(resolved),
    mode: resolved.mode,
    model: resolved.model,
    ...priceMemo(deps.prices, resolved.model)
  }
  const hold = (amount: Microcredits) =>
    deps.ledger.hold(tx, { holdId: id, userId: resolved.userId, amount, memo })

  const held = await hold(amount)
  if (held.kind !== 'short') return amount
  // The first attempt has locked the wallet, so no other request takes the rest before the second.
  const rest = microcredits(amount - held.missing)
  const smallest = smallestCostOf(deps, resolved)
  if (rest < smallest) throw noCredits(rest, smallest)
  await hold(rest)
  return rest
}

const titleOf = ({ text }: ResolvedCommand) => firstLine(text, TITLE_CHARS_MAX)

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
