import t from 'tap'
import { createLedger, priceMemo, readPriceList } from '#billing'
import { jobId, transactionId, userId } from '#kernel/ids.ts'
import { credits, microcredits } from '#kernel/money.ts'
import { openTestDatabase } from '../../helpers/database.ts'

const MODEL = 'anthropic/claude-sonnet-4-6'
const usage = {
  input: 2100,
  output: 60,
  reasoning: 0,
  cacheRead: 0,
  cacheWrite: 0,
  costUsd: 0.0072
}

t.test('a statement tells what was paid for, by which price', async (t) => {
  const db = await openTestDatabase(t)
  const ledger = createLedger()
  const prices = await readPriceList()
  const user = userId.create()
  await ledger.openWallet(db, user)
  const grant = { id: transactionId.create(), userId: user, amount: credits(100) }
  await ledger.grant(db, { ...grant, memo: { reason: 'purchase' } })

  const pay = async (reason: string, cost: number, more: object = usage) => {
    const holdId = jobId.create()
    const memo = { prompt: 'Add a login form', mode: 'code', model: MODEL }
    await ledger.hold(db, {
      holdId,
      userId: user,
      amount: credits(10),
      memo: { ...memo, ...priceMemo(prices, MODEL) }
    })
    const goodwill = { creditsPerDay: credits(1), jobsPerHour: 3 }
    const userPays = reason === 'agent_crashed' ? { goodwill } : 'used'
    const end = { holdId, cost: microcredits(BigInt(cost)), userPays, reason } as const
    await ledger.resolve(db, { ...end, memo: { model: MODEL, ...more } })
    const { items } = await ledger.statement(db, user, { limit: 3 })
    return items.filter(({ jobId, kind }) => jobId === holdId && kind !== 'hold')
  }

  t.match(await pay('succeeded', 720_000), [
    {
      kind: 'release',
      title: 'Released: reserved for “Add a login form” and not used',
      detail: null,
      usage: null,
      outcome: 'succeeded'
    },
    {
      kind: 'charge',
      title: 'Charged for “Add a login form”',
      detail: `${MODEL}: 2,100 tokens in at $3, 60 out at $15 a million`,
      usage,
      price: { inputUsd: '3', outputUsd: '15', cacheReadUsd: '0.30', cacheWriteUsd: '3.75' },
      outcome: 'succeeded'
    }
  ])
  t.match(await pay('agent_crashed', 720_000), [
    {
      kind: 'release',
      title: 'Refunded: “Add a login form” failed (agent_crashed)',
      detail: 'No charge',
      change: credits(10)
    }
  ])
  t.match(await pay('agent_crashed', 720_000), [
    { kind: 'release', title: 'Released: reserved for “Add a login form” and not used' },
    {
      kind: 'charge',
      title:
        'Charged for “Add a login form” (failed: agent_crashed; goodwill refunds of 24 hours used up)',
      detail: `${MODEL}: 2,100 tokens in at $3, 60 out at $15 a million`
    }
  ])
  const cached = { ...usage, reasoning: 40, cacheRead: 1000, cacheWrite: 7 }
  t.match(await pay('cancelled', 20_000_000, cached), [
    {
      title: 'Charged for “Add a login form” (cancelled; usage until then)',
      detail:
        /100 out at \$15, 1,000 read from the cache at \$0.30, 7 written to the cache at \$3.75/
    }
  ])
  const long = { ...usage, input: 0, tiered: true }
  t.match(await pay('succeeded', 20_000_000, long), [
    { detail: `${MODEL}: 60 tokens out at $15 a million, more for long prompts` }
  ])
  t.match(await pay('job_timeout', 20_000_000), [
    { title: 'Charged for “Add a login form” (failed: job_timeout; usage until then)' }
  ])
  t.match(await pay('credits_exhausted', 20_000_000, {}), [
    { title: 'Charged for “Add a login form” (stopped at its credit limit)', detail: null }
  ])
  t.match((await ledger.statement(db, user, { limit: 50 })).items.at(-1), {
    title: 'Credits purchased',
    detail: null,
    usage: null,
    price: null,
    outcome: null
  })
})

t.test('a hold that says nothing of its job is still a line', async (t) => {
  const db = await openTestDatabase(t)
  const ledger = createLedger()
  const user = userId.create()
  await ledger.openWallet(db, user)
  await ledger.grant(db, { id: transactionId.create(), userId: user, amount: credits(2), memo: {} })
  const holdId = jobId.create()
  await ledger.hold(db, { holdId, userId: user, amount: credits(1), memo: {} })
  await ledger.extend(db, { holdId, step: '1', amount: credits(1) })
  const { items } = await ledger.statement(db, user, { limit: 5 })
  t.match(items, [
    { title: 'Additional credits reserved for a job', detail: null, price: null, outcome: null },
    { title: 'Reserved for a job' },
    { title: 'Credits added' }
  ])
})

t.test('prices are noted as the list has them', async (t) => {
  const million = { input: 3_000_000n, output: 1n, cacheRead: 300_000n, cacheWrite: 123_456_789n }
  const price = { ...million, model: 'a/b', tiers: [], creditPicoUsd: 1n }
  const prices = { version: '7', find: (model: string) => (model === 'a/b' ? price : undefined) }
  t.same(priceMemo(prices, 'a/b'), {
    priceList: '7',
    inputUsd: '3',
    outputUsd: '0.000001',
    cacheReadUsd: '0.30',
    cacheWriteUsd: '123.456789',
    tiered: false
  })
  t.same(priceMemo(prices, 'a/c'), {})
})
