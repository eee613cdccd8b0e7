import { inTransaction, type Db } from '#db'
import { userId, type UserId } from '#kernel/ids.ts'
import { findUserOfHash, insertApiKey, insertUser } from './account-store.ts'
import { hashOf, isApiKey, newApiKey } from './keys.ts'

export interface Accounts {
  /** A new user. The key is in this answer and nowhere else, ever. The wallet is the caller's to open. */
  create(db: Db, user?: { name?: string | undefined }): Promise<{ id: UserId; apiKey: string }>
  /** Whose key this is; undefined for nobody's. */
  userOfKey(db: Db, key: string): Promise<UserId | undefined>
}

/** Users, known by keys that only they have. Every method takes a database or the caller's transaction first. */
export function createAccounts(): Accounts {
  return {
    create: (db, { name } = {}) =>
      inTransaction(db, async (tx) => {
        const id = userId.create()
        const apiKey = newApiKey()
        await insertUser(tx, id, name ?? null)
        await insertApiKey(tx, id, hashOf(apiKey))
        return { id, apiKey }
      }),

    async userOfKey(db, key) {
      // What cannot be a key costs no query.
      return isApiKey(key) ? findUserOfHash(db, hashOf(key)) : undefined
    }
  }
}
