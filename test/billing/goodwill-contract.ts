import t, { type Test } from 'tap'
import { sql } from 'kysely'
import { createLedger } from '#billing'
import type { Db } from '#db'
import { jobId, transactionId, userId } from '#kernel/ids.ts'
import { microcredits } from '#kernel/money.ts'

const mc = (amount: number) => microcredits(BigInt(amount))

/** The budget for refunds of failures that an agent can cause: its bounds, its races, and its repetition. */
export function goodwillContract(name: string, open: (t: Test) => Promise<Db>): void {
  const books = (says: string, work: (t: Test, it: Books) => Promise<void>) =>
    t.test(`${name}: ${says}`, async (t) => {
      const it = await givenBooks(await open(t))
      await work(t, it)
      const sums = Object.entries(await it.ledger.audit(it.db))
      t.same(
        sums.filter(([, sum]) => sum !== '0'),
        []
      )
    })

  books('refunds whole jobs until the next one exceeds the credits of a day', async (t, it) => {
    t.match(await it.fail(await it.hold(), 40), { charged: 0n, lost: 40n, goodwill: 'refunded' })
    t.match(await it.fail(await it.hold(), 61), { charged: 61n, lost: 0n, goodwill: 'day_limit' })
    t.match(await it.fail(await it.hold(), 60), { charged: 0n, goodwill: 'refunded' }, 'the rest')
    t.match(await it.fail(await it.hold(), 1), { charged: 1n, goodwill: 'day_limit' })
    t.match(await it.fail(await it.hold(), 0), { charged: 0n, released: 100n, goodwill: null })
  })

  books('charges at most the hold, and counts at most the hold', async (t, it) => {
    const above = { charged: 0n, lost: 130n, overrun: 30n, goodwill: 'refunded' }
    t.match(await it.fail(await it.hold(), 130), above)
    const beyond = { charged: 100n, released: 0n, lost: 30n, overrun: 30n, goodwill: 'day_limit' }
    t.match(await it.fail(await it.hold(), 130), beyond)
  })

  books('refunds three jobs an hour, and again when the hour is over', async (t, it) => {
    const decide = async () => (await it.fail(await it.hold(), 1)).goodwill
    const hour = [await decide(), await decide(), await decide(), await decide()]
    t.same(hour, ['refunded', 'refunded', 'refunded', 'hour_limit'])
    await it.letPass('59 minutes')
    t.equal(await decide(), 'hour_limit')
    await it.letPass('2 minutes')
    t.equal(await decide(), 'refunded')
  })

  books('counts the credits of 24 hours, and not of a calendar day', async (t, it) => {
    const decide = async () => (await it.fail(await it.hold(), 60)).goodwill
    t.equal(await decide(), 'refunded')
    await it.letPass('23 hours 59 minutes')
    t.equal(await decide(), 'day_limit')
    await it.letPass('2 minutes')
    t.equal(await decide(), 'refunded')
  })

  books('gives the last of the budget to one of 20 jobs that end together', async (t, it) => {
    for (let round = 0; round < 5; round += 1) {
      const own = await givenBooks(it.db)
      const holds = await Promise.all(Array.from({ length: 20 }, () => own.hold()))
      const ends = await Promise.all(holds.map((hold) => own.fail(hold, 60)))
      t.equal(ends.filter(({ goodwill }) => goodwill === 'refunded').length, 1)
      t.equal(ends.filter(({ goodwill }) => goodwill === 'day_limit').length, 19)
      t.equal((await it.ledger.wallet(it.db, own.user)).spent, mc(19 * 60))

      const small = await givenBooks(it.db)
      const more = await Promise.all(Array.from({ length: 20 }, () => small.hold()))
      const few = await Promise.all(more.map((hold) => small.fail(hold, 1)))
      t.equal(few.filter(({ goodwill }) => goodwill === 'refunded').length, 3)
    }
  })

  books('decides once per hold, also when callers race and repeat', async (t, it) => {
    const hold = await it.hold()
    const racers = await Promise.all([it.fail(hold, 90), it.fail(hold, 90), it.fail(hold, 90)])
    for (const answer of racers) t.match(answer, { charged: 0n, goodwill: 'refunded' })
    t.match(await it.fail(await it.hold(), 90), { goodwill: 'day_limit' })
    t.match(await it.fail(hold, 1), { kind: 'already', lost: 90n, goodwill: 'refunded' })

    const paid = await it.hold()
    const end = { holdId: paid, cost: mc(5), reason: 'succeeded', memo: {} }
    await it.ledger.resolve(it.db, { ...end, userPays: 'used' })
    t.match(await it.fail(paid, 9), { kind: 'already', charged: 5n, goodwill: null })
  })

  books('a rollback returns what was taken from the budget', async (t, it) => {
    const hold = await it.hold()
    const rolledBack = it.db.transaction().execute(async (tx) => {
      t.match(await it.fail(hold, 90, tx), { goodwill: 'refunded' })
      throw new Error('changed my mind')
    })
    await t.rejects(rolledBack, { message: 'changed my mind' })
    t.match(await it.fail(hold, 90), { kind: 'resolved', goodwill: 'refunded' })
  })

  books('keeps the budgets of users apart, and gives none of 0 credits', async (t, it) => {
    t.match(await it.fail(await it.hold(), 100), { goodwill: 'refunded' })
    const other = await givenBooks(it.db)
    t.match(await other.fail(await other.hold(), 100), { goodwill: 'refunded' })
    const stingy = await givenBooks(it.db, 0)
    t.match(await stingy.fail(await stingy.hold(), 1), { charged: 1n, goodwill: 'day_limit' })
  })

  books('decisions cannot be rewritten, and the audit finds one that is wrong', async (t, it) => {
    const hold = await it.hold()
    await it.fail(hold, 10)
    for (const statement of [
      `UPDATE ledger_goodwill SET decision = 'day_limit'`,
      `DELETE FROM ledger_goodwill`,
      `TRUNCATE ledger_goodwill`
    ]) {
      await t.rejects(sql.raw(statement).execute(it.db), { message: /append-only/ }, statement)
    }
    const other = await it.hold()
    const found = it.db.transaction().execute(async (tx) => {
      const end = { holdId: other, cost: mc(7), reason: 'tested', memo: {} }
      await it.ledger.resolve(tx, { ...end, userPays: 'used' })
      await sql`INSERT INTO ledger_goodwill (hold_id, wallet, amount, decision)
        VALUES (${other}, ${it.user}, 7, 'refunded')`.execute(tx)
      t.match(await it.ledger.audit(tx), { goodwill_mismatch: '1' })
      throw new Error('undone')
    })
    await t.rejects(found, { message: 'undone' })
  })
}

type Books = Awaited<ReturnType<typeof givenBooks>>

/** A wallet whose jobs hold 100 each, with this budget a day and three jobs an hour. */
async function givenBooks(db: Db, creditsPerDay = 100) {
  const ledger = createLedger()
  const user = userId.create()
  await ledger.openWallet(db, user)
  const id = transactionId.create()
  await ledger.grant(db, { id, userId: user, amount: mc(10_000), memo: {} })
  const goodwill = { creditsPerDay: mc(creditsPerDay), jobsPerHour: 3 }
  return {
    db,
    ledger,
    user,
    async hold() {
      const holdId = jobId.create()
      await ledger.hold(db, { holdId, userId: user, amount: mc(100), memo: {} })
      return holdId
    },
    fail: (holdId: string, cost: number, within: Db = db) =>
      ledger.resolve(within, {
        ...{ holdId, cost: mc(cost), userPays: { goodwill } },
        ...{ reason: 'agent_crashed', memo: {} }
      }),
    letPass: (time: string) => letPass(db, user, time)
  }
}

/** Moves the decisions of a wallet into the past, which only a superuser can do: no trigger fires meanwhile. */
export async function letPass(db: Db, user: string, time: string): Promise<void> {
  await db.transaction().execute(async (tx) => {
    await sql`SET LOCAL session_replication_role = replica`.execute(tx)
    await sql`UPDATE ledger_goodwill SET created_at = created_at - ${time}::interval
      WHERE wallet = ${user}`.execute(tx)
  })
}
