import { openTestDatabase } from '../helpers/database.ts'
import { ledgerContract } from './ledger-contract.ts'
import { ledgerModelContract } from './ledger-model-contract.ts'

ledgerContract('PGlite', openTestDatabase)
ledgerModelContract('PGlite', openTestDatabase)
