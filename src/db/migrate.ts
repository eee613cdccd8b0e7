import { Migrator } from 'kysely/migration'
import * as ground from './migrations/0001-ground.ts'
import * as ledger from './migrations/0002-ledger.ts'
import * as modelRequests from './migrations/0003-model-requests.ts'
import * as namedBeforehand from './migrations/0004-named-beforehand.ts'
import * as walletLimit from './migrations/0005-wallet-limit.ts'
import * as reviewClaims from './migrations/0006-review-claims.ts'
import * as pendingEdits from './migrations/0007-pending-edits.ts'
import * as apiKeyLives from './migrations/0008-api-key-lives.ts'
import * as goodwill from './migrations/0009-goodwill.ts'
import * as workOnHeldWork from './migrations/0010-work-on-held-work.ts'
import type { Db } from './db.ts'

const MIGRATIONS = {
  '0001-ground': ground,
  '0002-ledger': ledger,
  '0003-model-requests': modelRequests,
  '0004-named-beforehand': namedBeforehand,
  '0005-wallet-limit': walletLimit,
  '0006-review-claims': reviewClaims,
  '0007-pending-edits': pendingEdits,
  '0008-api-key-lives': apiKeyLives,
  '0009-goodwill': goodwill,
  '0010-work-on-held-work': workOnHeldWork
}

/** Runs the pending migrations, in order. Throws the error of the migration that failed. */
export async function migrate(db: Db): Promise<void> {
  const migrator = new Migrator({ db, provider: { getMigrations: async () => MIGRATIONS } })
  const { error } = await migrator.migrateToLatest()
  if (error) throw error
}
