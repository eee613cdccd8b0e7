import { openTestDatabase } from '../helpers/database.ts'
import { ledgerModelContract } from './ledger-model-contract.ts'

ledgerModelContract('PGlite', { sequences: { usual: 100, deep: 1000 }, lanes: 1 }, openTestDatabase)
