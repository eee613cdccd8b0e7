import t from 'tap'
import { onPostgres } from '../helpers/database.ts'
import { ledgerModelContract } from './ledger-model-contract.ts'

t.setTimeout(600_000)

// Most sequences run here: PostgreSQL is quicker than PGlite, and only here do transactions wait for locks.
await onPostgres('the ledger against its model on PostgreSQL', (open) => {
  ledgerModelContract('PostgreSQL', { sequences: { usual: 400, deep: 9000 }, lanes: 8 }, (t) =>
    open(t, 12)
  )

  t.test('PostgreSQL: nothing of that was a deadlock', async (t) => {
    t.equal(open.deadlocks(), 0)
  })
})
