import t from 'tap'
import { onPostgres, openTestDatabase } from '../../helpers/database.ts'
import { moneyTogetherContract } from './money-together-contract.ts'

moneyTogetherContract('PGlite', openTestDatabase)

await onPostgres('jobs that are submitted and settled concurrently on PostgreSQL', (open) => {
  moneyTogetherContract('PostgreSQL', (t) => open(t, 40))

  t.test('PostgreSQL: reports no deadlock', async (t) => {
    t.equal(open.deadlocks(), 0)
  })
})
