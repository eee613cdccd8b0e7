import t, { type Test } from 'tap'
import {
  createLedger,
  createRequestMeter,
  createPurse,
  readPriceList,
  type NewRequest,
  type Price
} from '#billing'
import type { Db } from '#db'
import { NO_USAGE } from '#kernel/agent-events.ts'
import { jobId, projectId, requestId, transactionId, userId } from '#kernel/ids.ts'
import { microcredits, ZERO, type Microcredits } from '#kernel/money.ts'

type OpenDatabase = (t: Test) => Promise<Db>

const MODEL = 'openai-compatible/scripted'
const mc = (amount: number): Microcredits => microcredits(BigInt(amount))

const END = {
  usage: NO_USAGE,
  outcome: 'served',
  status: 200,
  ttfbMs: 1,
  durationMs: 2
} as const

/** What the request meter promises, whichever database keeps the promise. Every test ends with an audit. */
export function requestsContract(name: string, open: OpenDatabase): void {
  const given = async (t: Test, { held = 100, funds = 1000 } = {}) => {
    const db = await open(t)
    const ledger = createLedger()
    const meter = createRequestMeter()
    const user = userId.create()
    await ledger.openWallet(db, user)
    await ledger.grant(db, {
      ...{ id: transactionId.create(), userId: user, amount: mc(funds), memo: {} }
    })
    const holdId = jobId.create()
    await ledger.hold(db, { holdId, userId: user, amount: mc(held), memo: {} })
    const project = projectId.create()

    const request = (maxCost: number, floorCost = 0): NewRequest => ({
      id: requestId.create(),
      holdId,
      projectId: project,
      agentSessionId: 'ses_1',
      parentSessionId: null,
      kind: 'turn',
      model: MODEL,
      maxCost: mc(maxCost),
      floorCost: mc(floorCost)
    })
    const close = (id: string, cost: number) =>
      meter.close(db, id, { ...END, cost: mc(cost), costPicoUsd: BigInt(cost) })
    const resolve = (cost: Microcredits) =>
      ledger.resolve(db, { holdId, cost, userPays: 'used', reason: 'tested', memo: {} })
    const committed = async () => {
      const row = await db.selectFrom('hold_meters').select('committed').executeTakeFirst()
      return Number(row?.committed)
    }
    return { db, ledger, meter, user, holdId, request, close, resolve, committed }
  }
  const books = (
    says: string,
    work: (t: Test, it: Awaited<ReturnType<typeof given>>) => Promise<void>,
    facts?: { held?: number; funds?: number }
  ) =>
    t.test(`${name}: ${says}`, async (t) => {
      const it = await given(t, facts)
      await work(t, it)
      for (const [sum, value] of Object.entries(await it.ledger.audit(it.db))) {
        t.equal(value, '0', `audit: ${sum}`)
      }
    })

  books('opens 3 of 50 concurrent requests of 30 on a hold of 100', async (t, it) => {
    const wanted = Array.from({ length: 50 }, () => it.request(30))
    const answers = await Promise.all(wanted.map((one) => it.meter.open(it.db, one)))
    t.equal(answers.filter(({ kind }) => kind === 'open').length, 3)
    t.match(answers.find(({ kind }) => kind === 'short') ?? {}, {
      kind: 'short',
      available: mc(10)
    })
    t.equal(await it.committed(), 90)
  })

  books('what a request cost makes room for the next', async (t, it) => {
    const [a, b, c] = [it.request(60), it.request(60), it.request(96)]
    t.same(await it.meter.open(it.db, a), { kind: 'open' })
    t.same(await it.meter.open(it.db, b), { kind: 'short', available: mc(40) })
    t.same(await it.close(a.id, 5), { kind: 'closed', overrun: ZERO })
    t.same(await it.close(a.id, 50), { kind: 'already' }, 'closed once')
    t.same(await it.meter.open(it.db, c), { kind: 'short', available: mc(95) })
    t.same(await it.meter.open(it.db, b), { kind: 'open' })
    t.equal(await it.committed(), 65)
  })

  books('counts one of 20 concurrent closings of a request', async (t, it) => {
    const one = it.request(60)
    await it.meter.open(it.db, one)
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => it.close(one.id, index))
    )
    t.equal(answers.filter(({ kind }) => kind === 'closed').length, 1)
    const [row] = await it.meter.requestsOf(it.db, it.holdId)
    t.equal(await it.committed(), Number(row?.cost))
  })

  books('an extended hold has room for more', async (t, it) => {
    const one = it.request(150)
    t.match(await it.meter.open(it.db, one), { kind: 'short' })
    await it.ledger.extend(it.db, { holdId: it.holdId, step: '1', amount: mc(50) })
    t.same(await it.meter.open(it.db, one), { kind: 'open' })
  })

  books('a cost above its maximum is recorded as that', async (t, it) => {
    const one = it.request(50)
    await it.meter.open(it.db, one)
    t.same(await it.close(one.id, 120), { kind: 'closed', overrun: mc(70) })
    const { cost } = await it.meter.settle(it.db, it.holdId)
    t.equal(cost, mc(120))
    t.match(await it.resolve(cost), { charged: mc(100), overrun: mc(20), lost: mc(20) })
  })

  books(
    'records a request that was never closed as lost at its floor, and later usage does not change it',
    async (t, it) => {
      const [done, sent] = [it.request(30, 3), it.request(40, 7)]
      await it.meter.open(it.db, done)
      await it.meter.open(it.db, sent)
      await it.close(done.id, 11)
      const spent = await it.db.transaction().execute(async (tx) => {
        const spent = await it.meter.settle(tx, it.holdId)
        await it.ledger.resolve(tx, {
          ...{ holdId: it.holdId, cost: spent.cost, userPays: 'used', reason: 'tested', memo: {} }
        })
        return spent
      })
      t.equal(spent.cost, mc(18))
      t.match(
        spent.requests.map(({ state, outcome, cost }) => ({ state, outcome, cost })),
        [
          { state: 'done', outcome: 'served', cost: mc(11) },
          { state: 'lost', outcome: 'lost', cost: mc(7) }
        ]
      )
      t.same(await it.close(sent.id, 39), { kind: 'already' })
      t.same(await it.meter.open(it.db, it.request(1)), { kind: 'resolved' })
    }
  )

  books(
    'completes concurrent requests, settlements and extensions without a deadlock',
    async (t, it) => {
      const finish = () =>
        it.db.transaction().execute(async (tx) => {
          const { cost } = await it.meter.settle(tx, it.holdId)
          return it.ledger.resolve(tx, {
            ...{ holdId: it.holdId, cost, userPays: 'used', reason: 'tested', memo: {} }
          })
        })
      const ask = async (index: number) => {
        const one = it.request(10, 1)
        const { kind } = await it.meter.open(it.db, one)
        await it.ledger.extend(it.db, { holdId: it.holdId, step: String(index), amount: mc(1) })
        if (kind === 'open') await it.close(one.id, 2)
      }
      const asking = Array.from({ length: 20 }, (_, index) => ask(index))
      await Promise.all([...asking, finish(), finish()])
      t.equal((await it.ledger.wallet(it.db, it.user)).reserved, ZERO)
    }
  )

  const purseOf = async (
    it: Awaited<ReturnType<typeof given>>,
    maxCredits: Microcredits | null,
    stepCredits = 0
  ) => {
    const price = (await readPriceList()).find(MODEL) as Price
    const held: Microcredits[] = []
    const purse = createPurse({
      ...{ db: it.db, ledger: it.ledger, requests: it.meter, holdId: it.holdId, maxCredits },
      stepCredits: mc(stepCredits),
      onSpent: () => {},
      onHeld: async (amount) => void held.push(amount)
    })
    return { purse, held, price }
  }

  books(
    'a purse extends the hold, and concurrent extensions never exceed its maximum',
    async (t, it) => {
      const { purse } = await purseOf(it, mc(250))
      const answers = await Promise.all(
        Array.from({ length: 20 }, () => purse.open(it.request(40)))
      )
      t.equal(answers.filter(({ kind }) => kind === 'open').length, 6)
      t.equal((await it.ledger.findHold(it.db, it.holdId))?.held, mc(250))
    }
  )

  books(
    'a purse takes what the wallet still has',
    async (t, it) => {
      const { purse, held } = await purseOf(it, null, 70)
      t.same(await purse.open(it.request(101)), { kind: 'open' })
      t.same(held, [mc(130)], 'it grows by what the wallet has, up to the step')
      t.same(await purse.open(it.request(100)), { kind: 'short', available: mc(29) })
    },
    { funds: 130 }
  )

  books('a purse prices what was used, and counts what was closed', async (t, it) => {
    const { purse, price } = await purseOf(it, null)
    const one = it.request(100)
    await purse.open(one)
    const usage = { ...NO_USAGE, input: 100, output: 10 }
    await purse.close(one.id, price, { ...END, usage })
    await purse.close(one.id, price, { ...END, usage })
    t.same(purse.total(), {
      cost: mc(45_000),
      usage: { ...usage, costUsd: 0.00045 }
    })
    const settled = await it.meter.settle(it.db, it.holdId)
    t.match({ cost: settled.cost, usage: settled.usage }, purse.total())
  })
}
