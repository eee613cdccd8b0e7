import { openTestDatabase } from '../helpers/database.ts'
import { requestsContract } from './requests-contract.ts'

requestsContract('PGlite', openTestDatabase)
