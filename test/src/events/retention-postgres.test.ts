import { onPostgres } from '../../helpers/database.ts'
import { retentionContract } from './retention-contract.ts'

await onPostgres('retention on PostgreSQL', (open) => {
  retentionContract('PostgreSQL', open)
})
