import { openTestDatabase } from '../helpers/database.ts'
import { goodwillContract } from './goodwill-contract.ts'
import { ledgerContract } from './ledger-contract.ts'

ledgerContract('PGlite', openTestDatabase)
goodwillContract('PGlite', openTestDatabase)
