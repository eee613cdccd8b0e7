import { sql } from 'kysely'
import t from 'tap'
import { createLedger } from '#billing'
import { userId } from '#kernel/ids.ts'
import { onPostgres } from '../helpers/database.ts'
import { goodwillContract } from './goodwill-contract.ts'
import { ledgerContract } from './ledger-contract.ts'

await onPostgres('the ledger on PostgreSQL', (open) => {
  ledgerContract('PostgreSQL', (t) => open(t, 64))
  goodwillContract('PostgreSQL', (t) => open(t, 64))

  t.test('PostgreSQL: nothing of that was a deadlock', async (t) => {
    t.equal(open.deadlocks(), 0)
  })

  t.test('PostgreSQL: one that is made on purpose', async (t) => {
    const db = await open(t)
    const users = [userId.create(), userId.create()]
    for (const user of users) await createLedger().openWallet(db, user)
    const bothWaiting = Promise.withResolvers<void>()
    let waiting = 0
    const lockBoth = (first = '', second = '') =>
      db.transaction().execute(async (tx) => {
        await sql`SELECT ledger_lock(${first})`.execute(tx)
        waiting += 1
        if (waiting === 2) bothWaiting.resolve()
        await bothWaiting.promise
        await sql`SELECT ledger_lock(${second})`.execute(tx)
      })
    const [a, b] = users
    const ends = await Promise.allSettled([lockBoth(a, b), lockBoth(b, a)])
    t.match(
      ends.filter(({ status }) => status === 'rejected'),
      [{ reason: { code: '40P01' } }]
    )
  })

  t.test('PostgreSQL: would have been counted', async (t) => {
    t.equal(open.deadlocks(), 1)
  })
})
