import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { createLedger, createRequestMeter, readPriceList } from '#billing'
import type { Db } from '#db'
import { createEventLog } from '#events'
import { systemClock as clock } from '#kernel/clock.ts'
import { AppError } from '#kernel/errors.ts'
import {
  reserveUlid,
  projectId,
  requestId,
  transactionId,
  userId,
  type ProjectId
} from '#kernel/ids.ts'
import { silentLog as log } from '#kernel/log.ts'
import { credits, microcredits } from '#kernel/money.ts'
import { noMetrics } from '#jobs'
import { createEmbeddedBus } from '../../../src/adapters/embedded/bus.ts'
import { createEmbeddedLock } from '../../../src/adapters/embedded/lock.ts'
import { createEmbeddedQueue } from '../../../src/adapters/embedded/queue.ts'
import { finishJob, type JobResult } from '../../../src/jobs/finish/finish-job.ts'
import { readJob } from '../../../src/jobs/stores/job-read-store.ts'
import { claimNextJob, updateJobStatus, type JobRow } from '../../../src/jobs/stores/job-store.ts'
import { submitJob } from '../../../src/jobs/submit/submit-job.ts'
import { insertProject } from '../../../src/projects/project-store.ts'

const USERS = 3
const PROJECTS = 4
const JOBS_PER_PROJECT = 12
const USED = { input: 10, output: 5, reasoning: 0, cacheRead: 0, cacheWrite: 0 }

/**
 * Submitting (credits, then the job, then its frame), settling (credits, then the job, then its frames), growing a hold,
 * model requests, purchases and cancelling, all concurrently on few wallets: without a deadlock, and the books balance.
 */
export function moneyTogetherContract(name: string, open: (t: Test) => Promise<Db>): void {
  t.test(`${name}: submits and settles jobs concurrently on few wallets`, async (t) => {
    const db = await open(t)
    const place = await givenPlace(t, db)
    const done = new AbortController()
    const auditing = auditWhile(db, done.signal)
    try {
      await Promise.all(
        place.projects.flatMap((project) => [place.ask(project), place.work(project)])
      )
    } finally {
      done.abort()
    }
    t.ok((await auditing) > 0, 'audited all the while')

    const jobs = await db.selectFrom('jobs').selectAll().execute()
    t.equal(jobs.length, USERS * PROJECTS * JOBS_PER_PROJECT)
    const states = Object.groupBy(jobs, ({ status }) => status)
    t.same(Object.keys(states).toSorted(), ['cancelled', 'failed', 'succeeded'])
    for (const user of place.users) {
      const own = jobs.filter((job) => job.user_id === user)
      const charged = own.reduce((sum, job) => sum + BigInt(job.charged ?? 0), 0n)
      const wallet = await createLedger().wallet(db, user)
      t.equal(wallet.spent, charged)
      t.equal(wallet.reserved, 0n)
      const decisions = jobs.filter(({ user_id, goodwill }) => user_id === user && goodwill)
      const refunds = decisions.filter(({ goodwill }) => goodwill === 'refunded')
      t.ok(decisions.length > refunds.length && refunds.length === 3, 'three refunds an hour')
      t.ok(refunds.every(({ charged }) => charged === '0'))
      t.ok(
        decisions.every(({ goodwill, charged }) => (goodwill === 'refunded') === (charged === '0'))
      )
    }
    const ends = await db
      .selectFrom('project_events')
      .select('job_id')
      .where('type', 'in', ['job:success', 'job:error'])
      .execute()
    t.equal(new Set(ends.map((end) => end.job_id)).size, jobs.length, 'each job has its end')
  })
}

async function givenPlace(t: Test, db: Db) {
  const stack = new AsyncDisposableStack()
  t.teardown(() => stack.disposeAsync())
  const ledger = createLedger()
  const requests = createRequestMeter()
  const settings = {
    defaultModel: 'anthropic/claude-sonnet-5-5',
    reserveCredits: credits(10),
    goodwillPerDay: credits(50),
    goodwillJobsPerHour: 3,
    jobTimeoutMs: 60_000,
    modelRetryWaitMaxMs: 120_000,
    promptAnswerMs: 60_000,
    providers: ['anthropic']
  }
  const deps = {
    ...{ db, ledger, requests, clock, log, settings },
    events: createEventLog(db, createEmbeddedBus()),
    queue: stack.use(createEmbeddedQueue(1)),
    prices: await readPriceList(),
    metrics: noMetrics,
    modes: () => ['code']
  }
  const lock = createEmbeddedLock(db, clock)

  const users = Array.from({ length: USERS }, () => userId.create())
  const owners = new Map<ProjectId, (typeof users)[number]>()
  const fund = (user: (typeof users)[number], amount: number) => {
    const id = transactionId.create()
    return ledger.grant(db, { id, userId: user, amount: credits(amount), memo: {} })
  }
  for (const user of users) {
    await db.insertInto('users').values({ id: user, name: null }).execute()
    await ledger.openWallet(db, user)
    await fund(user, 100)
    for (let n = 0; n < PROJECTS; n += 1) {
      const id = projectId.create()
      await insertProject(db, { id, userId: user, name: 'p', review: 'merge' })
      owners.set(id, user)
    }
  }

  /** A person: submits, buys credits when they have run out, and takes some jobs back before they began. */
  const ask = async (project: ProjectId) => {
    const user = owners.get(project)!
    for (let n = 0; n < JOBS_PER_PROJECT;) {
      try {
        const { jobId } = await submitJob(deps, user, project, { text: `job ${n}` }, reserveUlid())
        n += 1
        const job = n % 5 === 0 ? await readJob(db, jobId as JobRow['id']) : undefined
        if (job?.status === 'queued')
          await finishJob(deps, job, null, ending(n, 'cancelled')).catch(refused)
      } catch (error) {
        if (!(error instanceof AppError)) throw error
        if (error.code === 'insufficient_credits') await fund(user, 15)
        else if (error.code === 'queue_full') await sleep(20)
        else throw error
      }
    }
  }

  /** A worker: claims, lets the job grow and ask its model, writes frames, settles. */
  const work = async (project: ProjectId) => {
    await using lease = await lock.acquire(project)
    assert.ok(lease)
    for (;;) {
      const job = await claimNextJob(db, project, lease.token, clock.now())
      if (!job) {
        const { length } = await db
          .selectFrom('jobs')
          .select('id')
          .where('project_id', '=', project)
          .execute()
        const open = await db
          .selectFrom('jobs')
          .select('id')
          .where('project_id', '=', project)
          .where('charged', 'is', null)
          .execute()
        if (length === JOBS_PER_PROJECT && open.length === 0) return
        await sleep(5)
        continue
      }
      const place = { projectId: project, jobId: job.id, token: lease.token }
      await updateJobStatus(db, job.id, lease.token, 'running')
      const speaking = deps.events.record(place, [
        { type: 'job:log', data: { source: 'assistant', partId: 'p', text: 'hi' } }
      ])
      const growing = ledger.extend(db, { holdId: job.id, step: '1', amount: credits(1) })
      await Promise.all([speaking, growing, spend(job, project), spend(job, project)])
      await updateJobStatus(db, job.id, lease.token, 'settling')
      const failure = Number(job.position) % 3 === 0 ? 'agent_crashed' : null
      // A request that is still open is settled with the others.
      await requests.open(db, { ...newRequest(job, project), floorCost: microcredits(7n) })
      await finishJob(deps, job, lease.token, ending(0, failure))
    }
  }

  const newRequest = (job: JobRow, project: ProjectId) => ({
    id: requestId.create(),
    holdId: job.id,
    projectId: project,
    agentSessionId: null,
    parentSessionId: null,
    kind: 'turn' as const,
    model: job.model,
    maxCost: credits(1),
    floorCost: microcredits(1n)
  })
  const spend = async (job: JobRow, project: ProjectId) => {
    const request = newRequest(job, project)
    const opened = await requests.open(db, request)
    if (opened.kind !== 'open') return
    await requests.close(db, request.id, {
      cost: microcredits(123_456n),
      costPicoUsd: 1_234_560_000n,
      usage: USED,
      outcome: 'served',
      status: 200,
      ttfbMs: 1,
      durationMs: 2
    })
  }
  return { users, projects: [...owners.keys()], ask, work }
}

function ending(n: number, code: 'cancelled' | 'agent_crashed' | null): JobResult {
  const failure = code && { code, message: `job ${n}` }
  return { branch: null, base: null, commit: null, merge: 'none', reported: STRANGE, failure }
}

/** A step that the gateway does not know, with names that the database cannot store as they are. */
const STRANGE = {
  steps: [{ stepId: 'a\0', agentSessionId: '\ud83d', model: 'x', usage: USED }],
  usage: { ...USED, costUsd: 0 },
  cost: microcredits(1n)
}

/** A worker was quicker: it has the job now. */
function refused(error: unknown): void {
  assert.equal((error as { code?: string }).code, 'lease_lost')
}

async function auditWhile(db: Db, signal: AbortSignal): Promise<number> {
  let polls = 0
  while (!signal.aborted) {
    const off = Object.entries(await createLedger().audit(db)).filter(([, sum]) => sum !== '0')
    assert.deepEqual(off, [], `poll ${polls}`)
    polls += 1
    await sleep(50)
  }
  return polls
}
