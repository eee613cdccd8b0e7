import { isDeepStrictEqual as isSame } from 'node:util'
import t, { type Test } from 'tap'
import { sql } from 'kysely'
import { createLedger, type Ledger } from '#billing'
import type { Db } from '#db'
import { jobId, transactionId, userId, type UserId } from '#kernel/ids.ts'
import { microcredits, WALLET_MAX, type Microcredits } from '#kernel/money.ts'
import { runsOf } from '../helpers/property.ts'

type OpenDatabase = (t: Test) => Promise<Db>

const mc = (amount: number): Microcredits => microcredits(BigInt(amount))

interface Books {
  readonly db: Db
  readonly ledger: Ledger
  readonly user: UserId
}

/** How often the races are repeated: each repetition is another chance for two statements to interleave. */
const ROUNDS = runsOf({ usual: 2, deep: 5 })
const HOLDS = runsOf({ usual: 300, deep: 1000 })

/** What the ledger promises, whichever database keeps the promise. Every test ends with an audit. */
export function ledgerContract(name: string, open: OpenDatabase): void {
  const books = (says: string, work: (t: Test, books: Books) => Promise<void>, funds = 1000) =>
    t.test(`${name}: ${says}`, async (t) => {
      const db = await open(t)
      const ledger = createLedger()
      const user = userId.create()
      await ledger.openWallet(db, user)
      await ledger.openWallet(db, user)
      await ledger.grant(db, {
        id: transactionId.create(),
        userId: user,
        amount: mc(funds),
        memo: {}
      })
      await work(t, { db, ledger, user })
      await auditIsZero(t, { db, ledger })
    })

  const holdOf = ({ db, ledger, user }: Books, holdId: string, amount: number) =>
    ledger.hold(db, { holdId, userId: user, amount: mc(amount), memo: { job: holdId } })

  const resolve = (
    { db, ledger }: Books,
    holdId: string,
    cost: number,
    userPays: 'used' | 'nothing' = 'used'
  ) => ledger.resolve(db, { holdId, cost: mc(cost), userPays, reason: 'tested', memo: {} })

  books('holds 100 of 400 concurrent holds of 10 on 1000, and refuses 300', async (t, it) => {
    for (let round = 1; round <= ROUNDS; round += 1) {
      const user = userId.create()
      const own = { ...it, user }
      await it.ledger.openWallet(it.db, user)
      const grant = { id: transactionId.create(), userId: user, amount: mc(1000), memo: {} }
      await it.ledger.grant(it.db, grant)

      const ids = Array.from({ length: 400 }, () => jobId.create())
      const answers = await Promise.all(ids.map((id) => holdOf(own, id, 10)))
      t.same(countKinds(answers), { held: 100, short: 300 })
      t.same(await it.ledger.wallet(it.db, user), {
        balance: mc(0),
        reserved: mc(1000),
        spent: mc(0)
      })

      const again = await Promise.all(ids.map((id) => holdOf(own, id, 10)))
      t.same(countKinds(again), { replayed: 100, short: 300 }, 'repeated holds are idempotent')
      t.equal(await countTransfers(it.db), 1 + round * 101)
    }
  })

  books('short says how much is missing, and leaves nothing behind', async (t, it) => {
    const id = jobId.create()
    t.same(await holdOf(it, id, 1500), { kind: 'short', missing: mc(500) })
    t.equal(await it.ledger.findHold(it.db, id), undefined)
    t.same(await holdOf(it, id, 1000), { kind: 'held' }, 'the id is still free')
  })

  books("short does not poison the caller's transaction", async (t, it) => {
    const [short, held] = [jobId.create(), jobId.create()]
    await it.db.transaction().execute(async (tx) => {
      const inside = { ...it, db: tx }
      t.match(await holdOf(inside, short, 5000), { kind: 'short' })
      t.match(await holdOf(inside, held, 600), { kind: 'held' })
      t.match(await it.ledger.extend(tx, { holdId: held, step: '1', amount: mc(401) }), {
        kind: 'short',
        missing: mc(1)
      })
    })
    t.same((await it.ledger.findHold(it.db, held))?.held, mc(600))
  })

  books("the caller's rollback takes the hold with it", async (t, it) => {
    const id = jobId.create()
    const rolledBack = it.db.transaction().execute(async (tx) => {
      await holdOf({ ...it, db: tx }, id, 10)
      throw new Error('changed my mind')
    })
    await t.rejects(rolledBack, { message: 'changed my mind' })
    t.same(await it.ledger.wallet(it.db, it.user), {
      balance: mc(1000),
      reserved: mc(0),
      spent: mc(0)
    })
  })

  books('the same id with other content is refused', async (t, it) => {
    const id = jobId.create()
    await holdOf(it, id, 10)
    await t.rejects(holdOf(it, id, 11), { code: 'idempotency_key_reused' })

    const otherUser = userId.create()
    await it.ledger.openWallet(it.db, otherUser)
    await t.rejects(holdOf({ ...it, user: otherUser }, id, 10), { code: 'idempotency_key_reused' })

    const grant = { id: transactionId.create(), userId: it.user, amount: mc(5), memo: {} }
    t.same(await it.ledger.grant(it.db, grant), { kind: 'granted', balance: mc(995) })
    t.same(await it.ledger.grant(it.db, grant), { kind: 'replayed', balance: mc(995) })
    t.same(await it.ledger.grant(it.db, { ...grant, amount: mc(6) }), { kind: 'reused' })
    t.same(await it.ledger.grant(it.db, { ...grant, userId: otherUser }), { kind: 'reused' })
    t.same(await it.ledger.grant(it.db, { ...grant, id: `${id}:hold`, amount: mc(10) }), {
      kind: 'reused'
    })
  })

  books(
    'a wallet is never given more than JSON can say, also of what is held and spent',
    async (t, it) => {
      const id = jobId.create()
      await holdOf(it, id, 600)
      await resolve(it, id, 200)
      await holdOf(it, jobId.create(), 300)
      const fill = (amount: bigint) => ({
        ...{ id: transactionId.create(), userId: it.user, memo: {} },
        amount: microcredits(amount)
      })
      const room = WALLET_MAX - 1000n
      t.same(await it.ledger.grant(it.db, fill(room + 1n)), { kind: 'full' })
      const racers = [fill(room), fill(room)]
      const answers = await Promise.all(racers.map((racer) => it.ledger.grant(it.db, racer)))
      t.same(countKinds(answers), { granted: 1, full: 1 })
      t.same(await it.ledger.grant(it.db, fill(1n)), { kind: 'full' })
      const again = await Promise.all(racers.map((racer) => it.ledger.grant(it.db, racer)))
      t.same(countKinds(again), { replayed: 1, full: 1 }, 'what was granted is still granted')
    }
  )

  books('makes one of 30 concurrent grants with the same id', async (t, it) => {
    const grant = { id: transactionId.create(), userId: it.user, amount: mc(7), memo: {} }
    const answers = await Promise.all(
      Array.from({ length: 30 }, () => it.ledger.grant(it.db, grant))
    )
    t.same(countKinds(answers), { granted: 1, replayed: 29 })
    t.equal((await it.ledger.wallet(it.db, it.user)).balance, mc(1007))
  })

  books(
    'resolves each hold once when three callers race, and answers all of them alike',
    async (t, it) => {
      const ids = Array.from({ length: HOLDS }, () => jobId.create())
      const held = await Promise.all(ids.map((id) => holdOf(it, id, 20)))
      t.same(countKinds(held), { held: HOLDS })
      const races = await Promise.all(
        ids.map((id) =>
          Promise.all([resolve(it, id, 5), resolve(it, id, 12, 'nothing'), resolve(it, id, 30)])
        )
      )

      t.same(countKinds(races.flat()), { resolved: HOLDS, already: 2 * HOLDS })
      const decided = races.map((racers) => racers.map((answer) => ({ ...answer, kind: 'either' })))
      t.ok(decided.every(([first, ...others]) => others.every((one) => isSame(one, first))))
      t.ok(races.every((racers) => countKinds(racers)['resolved'] === 1))
      t.ok(decided.every(([one]) => one && one.charged + one.released === mc(20)))

      const charged = decided.reduce((sum, [one]) => sum + (one?.charged ?? 0n), 0n)
      t.same(await it.ledger.wallet(it.db, it.user), {
        balance: BigInt(HOLDS * 20) - charged,
        reserved: mc(0),
        spent: charged
      })
    },
    HOLDS * 20
  )

  books('every share of a hold', async (t, it) => {
    for (const [says, cost, userPays, expected] of [
      ['less than held', 30, 'used', { charged: 30, released: 70, overrun: 0, lost: 0 }],
      ['all of it', 100, 'used', { charged: 100, released: 0, overrun: 0, lost: 0 }],
      ['none', 0, 'used', { charged: 0, released: 100, overrun: 0, lost: 0 }],
      ['more than held', 130, 'used', { charged: 100, released: 0, overrun: 30, lost: 30 }],
      ['refunded', 60, 'nothing', { charged: 0, released: 100, overrun: 0, lost: 60 }],
      ['refunded, above', 160, 'nothing', { charged: 0, released: 100, overrun: 60, lost: 160 }],
      ['refunded, free', 0, 'nothing', { charged: 0, released: 100, overrun: 0, lost: 0 }]
    ] as const) {
      const before = await it.ledger.wallet(it.db, it.user)
      const lossBefore = await it.ledger.platformLoss(it.db)
      const id = jobId.create()
      await holdOf(it, id, 100)
      const { kind, reason, goodwill, ...shares } = await resolve(it, id, cost, userPays)

      t.equal(kind, 'resolved', says)
      t.equal(reason, 'tested')
      t.equal(goodwill, null)
      t.same(mapShares(shares), { held: 100, ...expected }, says)
      const after = await it.ledger.wallet(it.db, it.user)
      t.equal(after.balance, before.balance - BigInt(expected.charged), says)
      t.equal(after.spent, before.spent + BigInt(expected.charged), says)
      t.equal(after.reserved, mc(0), says)
      t.equal(await it.ledger.platformLoss(it.db), lossBefore + BigInt(expected.lost), says)
      await auditIsZero(t, it)
    }
  })

  books('a hold grows by steps, each once, until it is resolved', async (t, it) => {
    const id = jobId.create()
    await holdOf(it, id, 100)
    const extend = (step: string, amount: number) =>
      it.ledger.extend(it.db, { holdId: id, step, amount: mc(amount) })

    t.same(await extend('1', 50), { kind: 'held' })
    t.same(await extend('1', 50), { kind: 'held' }, 'repeating a step is idempotent')
    await t.rejects(extend('1', 51), { code: 'idempotency_key_reused' })
    t.same(await extend('2', 25), { kind: 'held' })
    t.same(await extend('3', 826), { kind: 'short', missing: mc(1) })
    t.same(await it.ledger.findHold(it.db, id), { held: mc(175), resolution: null })

    t.match(await resolve(it, id, 160), { held: mc(175), charged: mc(160), released: mc(15) })
    t.same(await extend('4', 1), { kind: 'resolved' })
    t.match(await it.ledger.findHold(it.db, id), {
      held: mc(175),
      resolution: { charged: mc(160) }
    })
  })

  books('extending races resolving: what was extended is shared out too', async (t, it) => {
    for (let round = 0; round < 20; round++) {
      const id = jobId.create()
      await holdOf(it, id, 10)
      await Promise.all([
        ...['a', 'b', 'c'].map((step) =>
          it.ledger.extend(it.db, { holdId: id, step, amount: mc(10) })
        ),
        resolve(it, id, 5)
      ])
      const hold = await it.ledger.findHold(it.db, id)
      t.equal(hold?.held, hold?.resolution?.held)
    }
    t.equal((await it.ledger.wallet(it.db, it.user)).reserved, mc(0))
  })

  books('keeps the books balanced under concurrent grants, losses and refunds', async (t, it) => {
    const users = Array.from({ length: 6 }, () => userId.create())
    for (const user of users) await it.ledger.openWallet(it.db, user)
    const done = new AbortController()
    const auditor = (async () => {
      let polls = 0
      for (; !done.signal.aborted; polls++) {
        for (const off of await offOf(it)) t.fail(`poll ${polls}: ${off}`)
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
      return polls
    })()

    try {
      await Promise.all(
        users.flatMap((user) =>
          Array.from({ length: 8 }, async (_, i) => {
            const own = { ...it, user }
            await it.ledger.grant(it.db, {
              id: transactionId.create(),
              userId: user,
              amount: mc(100),
              memo: {}
            })
            const id = jobId.create()
            const held = await holdOf(own, id, 60 + i * 10)
            if (held.kind !== 'held') return
            await it.ledger.extend(it.db, { holdId: id, step: '1', amount: mc(20) })
            await Promise.all([
              resolve(own, id, i * 30),
              resolve(own, id, i * 30, i % 2 ? 'used' : 'nothing')
            ])
          })
        )
      )
    } finally {
      done.abort()
      t.ok((await auditor) > 0, 'audited all the while')
    }
  })

  books('the past and the balances cannot be rewritten', async (t, it) => {
    const id = jobId.create()
    await holdOf(it, id, 100)
    await resolve(it, id, 30)
    for (const statement of [
      `UPDATE ledger_transfers SET amount = 1`,
      `DELETE FROM ledger_transfers`,
      `TRUNCATE ledger_transfers`,
      `UPDATE ledger_holds SET wallet = 'me'`,
      `DELETE FROM ledger_holds`,
      `UPDATE ledger_hold_resolutions SET charged = 0, released = 100`,
      `DELETE FROM ledger_hold_resolutions`,
      `TRUNCATE ledger_hold_resolutions, ledger_holds, ledger_transfers, ledger_accounts`,
      `UPDATE ledger_accounts SET balance = balance + 1`,
      `UPDATE ledger_accounts SET floor = -100`,
      `DELETE FROM ledger_accounts`,
      `INSERT INTO ledger_accounts (code, wallet, floor, balance) VALUES ('x:gift', 'x', 0, 5)`,
      `INSERT INTO ledger_accounts (code, wallet, floor) VALUES ('x:debt', 'x', -5)`,
      `INSERT INTO ledger_accounts (code, wallet) VALUES ('x:debt', 'x')`
    ]) {
      await t.rejects(sql.raw(statement).execute(it.db), statement)
    }
  })

  books('a transfer takes its route or none', async (t, it) => {
    const [open, done] = [jobId.create(), jobId.create()]
    await holdOf(it, open, 100)
    await holdOf(it, done, 100)
    await resolve(it, done, 30)
    const otherUser = userId.create()
    await it.ledger.openWallet(it.db, otherUser)
    const [own, other] = [it.user, otherUser]

    for (const [says, from, to, kind, hold, amount] of [
      ['from one wallet to another', `${own}:available`, `${other}:held`, 'hold', open, 1],
      ['a second hold', `${own}:available`, `${own}:held`, 'hold', open, 1],
      ['backwards', `${own}:held`, `${own}:available`, 'extend', open, 1],
      ['a charge before its resolution', `${own}:held`, `${own}:spent`, 'charge', open, 1],
      ['more charged than resolved', `${own}:held`, `${own}:spent`, 'charge', done, 31],
      ['an extension after the end', `${own}:available`, `${own}:held`, 'extend', done, 1],
      ['a hold that is not ours', `${other}:available`, `${other}:held`, 'extend', open, 1],
      ['out of the world', `world:funding`, `${own}:spent`, 'grant', null, 1],
      ['below zero', `${own}:available`, `${own}:held`, 'extend', open, 1_000_000],
      ['nothing', `${own}:available`, `${own}:held`, 'extend', open, 0]
    ] as const) {
      await t.rejects(
        sql`INSERT INTO ledger_transfers (id, from_id, to_id, amount, kind, hold_id, memo)
          VALUES (${says}, ledger_account(${from}), ledger_account(${to}), ${amount}, ${kind},
            ${hold}, '{}')`.execute(it.db),
        says
      )
    }
    await t.rejects(
      sql`INSERT INTO ledger_hold_resolutions
        (hold_id, amount, cost, charged, released, lost, reason)
        VALUES (${open}, 99, 0, 0, 99, 0, 'less than was held')`.execute(it.db),
      { message: /is not of 99/ }
    )
  })

  books('money needs a wallet, and a hold to end', async (t, it) => {
    const unknown = userId.create()
    await t.rejects(holdOf({ ...it, user: unknown }, jobId.create(), 1), { message: /no wallet/ })
    await t.rejects(resolve(it, jobId.create(), 1), { message: /no hold/ })
    await t.rejects(it.ledger.extend(it.db, { holdId: jobId.create(), step: '1', amount: mc(1) }), {
      message: /no hold/
    })
    t.same(await it.ledger.wallet(it.db, unknown), {
      balance: mc(0),
      reserved: mc(0),
      spent: mc(0)
    })
  })

  books('the audit sees a resolution whose money did not move', async (t, it) => {
    const id = jobId.create()
    await holdOf(it, id, 100)
    const seen = it.db.transaction().execute(async (tx) => {
      await sql`INSERT INTO ledger_hold_resolutions
        (hold_id, amount, cost, charged, released, lost, reason)
        VALUES (${id}, 100, 40, 40, 60, 0, 'by hand')`.execute(tx)
      t.match(await it.ledger.audit(tx), { bad_resolutions: '1' })
      throw new Error('undone')
    })
    await t.rejects(seen, { message: 'undone' })
  })

  books('the statement: newest first, page by page, each line with its balance', async (t, it) => {
    const id = jobId.create()
    await holdOf(it, id, 100)
    await it.ledger.extend(it.db, { holdId: id, step: '1', amount: mc(50) })
    await resolve(it, id, 120)
    const otherUser = userId.create()
    await it.ledger.openWallet(it.db, otherUser)
    await it.ledger.grant(it.db, {
      id: transactionId.create(),
      userId: otherUser,
      amount: mc(1),
      memo: { why: 'not yours' }
    })

    const whole = await it.ledger.statement(it.db, it.user, { limit: 50 })
    t.equal(whole.nextCursor, null)
    t.same(
      whole.items.map(({ kind, amount, change, balanceAfter }) => [
        kind,
        amount,
        change,
        balanceAfter
      ]),
      [
        ['release', 30n, 30n, 880n],
        ['charge', 120n, 0n, 850n],
        ['extend', 50n, -50n, 850n],
        ['hold', 100n, -100n, 900n],
        ['grant', 1000n, 1000n, 1000n]
      ]
    )
    t.match(whole.items[3], { id: `${id}:hold`, jobId: id, memo: { job: id }, title: String })
    t.type(whole.items[0]?.createdAt, Date)

    const pages = []
    let cursor: string | undefined
    do {
      const page = await it.ledger.statement(it.db, it.user, { cursor, limit: 2 })
      pages.push(page.items)
      cursor = page.nextCursor ?? undefined
    } while (cursor)
    t.same(
      pages.map((page) => page.length),
      [2, 2, 1]
    )
    t.same(pages.flat(), whole.items)
    for (const cursor of ['', 'x', '-1', '1;', '9'.repeat(19)]) {
      await t.rejects(it.ledger.statement(it.db, it.user, { cursor, limit: 2 }), {
        code: 'invalid_request'
      })
    }
  })
}

const auditIsZero = async (t: Test, it: Pick<Books, 'db' | 'ledger'>) =>
  t.same(await offOf(it), [], 'audit: nothing is off')

/** What the audit complains of. */
async function offOf({ db, ledger }: Pick<Books, 'db' | 'ledger'>): Promise<string[]> {
  const sums = Object.entries(await ledger.audit(db))
  return sums.filter(([, sum]) => sum !== '0').map(([name, sum]) => `${name} is ${sum}`)
}

async function countTransfers(db: Db): Promise<number> {
  const rows = await db.selectFrom('ledger_transfers').select('id').execute()
  return rows.length
}

const countKinds = (answers: readonly { kind: string }[]) =>
  Object.fromEntries(
    Object.entries(Object.groupBy(answers, ({ kind }) => kind)).map(([kind, all]) => [
      kind,
      all?.length
    ])
  )

const mapShares = (shares: Record<string, bigint>) =>
  Object.fromEntries(Object.entries(shares).map(([name, amount]) => [name, Number(amount)]))
