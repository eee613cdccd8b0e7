import { inTransaction, type Db } from '#db'
import { userId, type UserId } from '#kernel/ids.ts'
import { findUserOfHash, insertApiKey, insertUser } from './account-store.ts'
import { hashOf, isApiKey, newApiKey } from './keys.ts'

export interface Accounts {
  /** Creates a user. The key is only in this result, never stored. The caller opens the wallet. */
  create(db: Db, user?: { name?: string | undefined }): Promise<{ id: UserId; apiKey: string }>
  /** The user of a key; undefined for an unknown key. */
  userOfKey(db: Db, key: string): Promise<UserId | undefined>
}

/** Users and their API keys. Every method takes a database or the caller's transaction first. */
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
      // A malformed key costs no query.
      return isApiKey(key) ? findUserOfHash(db, hashOf(key)) : undefined
    }
  }
}
