import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import pino from 'pino'
import { Registry } from 'prom-client'
import type { Test } from 'tap'
import { createAccounts } from '#accounts'
import { createLedger, createRequestMeter, readPriceList } from '#billing'
import { createIdempotencyStore, type Db } from '#db'
import { createEditing } from '#editing'
import { createEventLog, createFeed, type EventLog } from '#events'
import { openGateway } from '#gateway'
import { createApp, type AppDeps } from '#http'
import { createJobs, createProjectCommands, noMetrics } from '#jobs'
import { systemClock as clock } from '#kernel/clock.ts'
import { LIMITS } from '#kernel/limits.ts'
import { watchDiskSpace } from '#kernel/machine/disk-space.ts'
import { credits } from '#kernel/money.ts'
import { openSupervisor } from '#supervisor'
import { createWorkspaces } from '#workspaces'
import { createEmbeddedBus } from '../../../src/adapters/embedded/bus.ts'
import { createEmbeddedLock } from '../../../src/adapters/embedded/lock.ts'
import { createEmbeddedQueue } from '../../../src/adapters/embedded/queue.ts'
import { openTestDatabase } from '../../helpers/database.ts'
import { watchTransactions } from '../../helpers/databases/transactions.ts'

watchTransactions()

const MODEL = 'anthropic/claude-sonnet-5-5'
export const ADMIN_KEY = 'kw_the-key-of-the-operator-in-these-tests-00000'

export interface Answer<T = any> {
  readonly status: number
  readonly headers: Record<string, string | string[] | number | undefined>
  readonly body: T
  readonly text: string
}

export interface Person {
  readonly id: string
  readonly key: string
  call<T = any>(
    method: string,
    url: string,
    body?: unknown,
    headers?: Record<string, string>
  ): Promise<Answer<T>>
  project(files?: Record<string, string>): Promise<string>
}

export interface Doors {
  readonly app: FastifyInstance
  readonly db: Db
  readonly events: EventLog
  readonly deps: AppDeps
  /** Begins the server's end. */
  readonly stop: AbortController
  /** Every line that was logged. */
  readonly lines: string[]
  readonly operator: Person
  person(credits?: number): Promise<Person>
}

/** The HTTP interface on the real parts, without a worker: queued jobs stay queued. */
export async function givenDoors(t: Test, more: Partial<AppDeps> = {}): Promise<Doors> {
  const stack = new AsyncDisposableStack()
  t.teardown(() => stack.disposeAsync())
  const dir = await mkdtemp(join(tmpdir(), 'kilowatt-doors-'))
  stack.defer(() => rm(dir, { recursive: true, force: true }))
  const lines: string[] = []
  const log = pino({ level: 'debug' }, keepIn(lines))

  const db = await openTestDatabase(t)
  const bus = createEmbeddedBus()
  const lock = createEmbeddedLock(db, clock)
  const queue = stack.use(createEmbeddedQueue(1))
  const events = createEventLog(db, bus)
  const feed = createFeed(db, bus)
  const ledger = createLedger()
  const prices = await readPriceList()
  const workspaces = createWorkspaces({ projectsDir: join(dir, 'projects'), clock, log })
  const supervisor = stack.use(
    await openSupervisor({
      kiloBin: undefined,
      agentsDir: join(dir, 'agents'),
      isolation: 'process',
      agentsMax: 1,
      idleStopMs: 60_000,
      providersFor: () => [],
      defaultModel: MODEL,
      log,
      clock
    })
  )
  const settings = {
    defaultModel: MODEL,
    reserveCredits: credits(10),
    goodwillPerDay: credits(50),
    goodwillJobsPerHour: LIMITS.goodwillJobsPerHour,
    jobTimeoutMs: 60_000,
    modelRetryWaitMaxMs: 120_000,
    promptAnswerMs: LIMITS.promptAnswerMs,
    providers: ['anthropic']
  }
  const gateway = stack.use(await openGateway({ providers: [], prices, clock, log }))
  const requests = createRequestMeter()
  const { modes } = supervisor
  const behind = { db, bus, queue, events, feed, ledger, prices, requests, settings, clock, log }
  const api = { ...behind, modes, metrics: noMetrics }
  const disk = stack.use(watchDiskSpace({ folders: [dir], log }))
  const commands = createProjectCommands({ ...api, lock, disk, supervisor, gateway, workspaces })
  const jobs = createJobs({ ...api, commands })
  const editing = createEditing({ db, events, workspaces, log })

  const stop = new AbortController()
  const deps: AppDeps = {
    ...{ db, jobs, events, feed, editing, ledger, prices, log, clock },
    accounts: createAccounts(),
    adminKey: ADMIN_KEY,
    idempotency: createIdempotencyStore(db),
    version: '0.0.0-test',
    health: () => ({
      status: 'ok',
      version: '0.0.0-test',
      kilo: { version: supervisor.kiloVersion },
      database: 'pglite',
      coordination: 'in-process',
      isolation: supervisor.isolation,
      network: supervisor.network,
      uid: supervisor.uid
    }),
    ready: async () => undefined,
    disk,
    metrics: new Registry(),
    allowedOrigins: ['https://ide.example'],
    signal: stop.signal,
    ...more
  }
  const app = await createApp(deps)
  stack.defer(() => app.close())

  const operator = personOf(app, 'operator', ADMIN_KEY)
  return {
    app,
    db,
    events,
    deps,
    stop,
    lines,
    operator,
    async person(amount = 1000) {
      const { body } = await operator.call('POST', '/users', {})
      const person = personOf(app, body.id, body.apiKey)
      if (amount > 0) await buy(person, amount)
      return person
    }
  }
}

function personOf(app: FastifyInstance, id: string, key: string): Person {
  const person: Person = {
    id,
    key,
    call: (method, url, body, headers = {}) =>
      ask(app, method, url, body, { authorization: `Bearer ${key}`, ...headers }),
    async project(files = {}) {
      const list = Object.entries(files).map(([path, content]) => ({ path, content }))
      const { status, text, body } = await person.call('POST', '/projects', {
        name: 'test',
        files: list
      })
      if (status !== 201) throw new Error(`no project: ${text}`)
      return body.id
    }
  }
  return person
}

/** A request with nothing but what is given. */
export async function ask<T = any>(
  app: FastifyInstance,
  method: string,
  url: string,
  body?: unknown,
  headers: Record<string, string> = {}
): Promise<Answer<T>> {
  const answer = await app.inject({
    method,
    url,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined
      ? {}
      : { payload: typeof body === 'string' ? body : JSON.stringify(body) })
  })
  const isJson = String(answer.headers['content-type']).includes('json') && answer.payload !== ''
  return {
    status: answer.statusCode,
    headers: answer.headers,
    body: (isJson ? answer.json() : undefined) as T,
    text: answer.payload
  }
}

export const buy = (person: Person, amount: number, key: string = randomUUID()) =>
  person.call('POST', '/wallet/purchase', { credits: amount }, { 'idempotency-key': key })

function keepIn(lines: string[]): Writable {
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(chunk.toString())
      done()
    }
  })
}
