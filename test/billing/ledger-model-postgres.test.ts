import t from 'tap'
import { onPostgres } from '../helpers/database.ts'
import { ledgerModelContract } from './ledger-model-contract.ts'

t.setTimeout(600_000)

// The most of them here, where it is quicker than in the process and where there are locks to wait for.
await onPostgres('the ledger against its model on PostgreSQL', (open) => {
  ledgerModelContract('PostgreSQL', { sequences: 9000, lanes: 8 }, (t) => open(t, 12))

  t.test('PostgreSQL: nothing of that was a deadlock', async (t) => {
    t.equal(open.deadlocks(), 0)
  })
})
