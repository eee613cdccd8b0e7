import { openTestDatabase } from '../helpers/database.ts'
import { ledgerContract } from './ledger-contract.ts'

ledgerContract('PGlite', openTestDatabase)
