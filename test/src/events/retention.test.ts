import { openTestDatabase } from '../../helpers/database.ts'
import { retentionContract } from './retention-contract.ts'

retentionContract('PGlite', openTestDatabase)
