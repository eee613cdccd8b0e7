import t from 'tap'
import { onPostgres } from '../helpers/database.ts'
import { requestsContract } from './requests-contract.ts'

await onPostgres('the request meter on PostgreSQL', (open) => {
  requestsContract('PostgreSQL', (t) => open(t, 64))

  t.test('PostgreSQL: nothing of that was a deadlock', async (t) => {
    t.equal(open.deadlocks(), 0)
  })
})
