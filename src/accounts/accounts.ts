import { inTransaction, type Db } from '#db'
import { systemClock, type Clock } from '#kernel/clock.ts'
import { AppError } from '#kernel/errors.ts'
import { keyId, userId, type KeyId, type UserId } from '#kernel/ids.ts'
import { LIMITS } from '#kernel/limits.ts'
import { insertUser, userExists } from './account-store.ts'
import {
  countActiveKeys,
  expireKey,
  findKeyOfHash,
  insertApiKey,
  readActiveKeys,
  readApiKeys,
  revokeKey,
  updateKeyUse,
  type ApiKey
} from './key-store.ts'
import { createKeyCache, type CachedKey } from './key-cache.ts'
import { hashOf, isApiKey, newApiKey } from './keys.ts'

/** The user of a key, and the key's id. */
export interface KeyHolder {
  readonly userId: UserId
  readonly keyId: KeyId
}

export interface KeyRequest {
  readonly name?: string | undefined
  readonly expiresAt?: Date | undefined
  /** A key that the new one replaces. It is revoked, or expires after the overlap. */
  readonly replaces?: string | undefined
  readonly overlapSeconds?: number | undefined
}

export interface Accounts {
  /** Creates a user. The key is only in this result, never stored. The caller opens the wallet. */
  create(db: Db, user?: { name?: string | undefined }): Promise<{ id: UserId; apiKey: string }>
  exists(db: Db, id: UserId): Promise<boolean>
  /** The holder of a key, and records its use; undefined for an unknown, revoked or expired key. */
  holderOfKey(db: Db, key: string): Promise<KeyHolder | undefined>
  /** Creates a further key. The secret is only in this result. */
  createKey(db: Db, user: UserId, wanted: KeyRequest): Promise<ApiKey & { apiKey: string }>
  /** Newest first, with those that are revoked or expired. */
  keys(
    db: Db,
    user: UserId,
    page: { before?: string | undefined; limit: number }
  ): Promise<ApiKey[]>
  /** Revokes a key; refuses an id that is not an active key of this user. */
  revoke(db: Db, user: UserId, id: string): Promise<KeyId>
  /** Those of the given keys that are neither revoked nor expired. */
  activeKeys(db: Db, among: readonly KeyId[]): Promise<KeyId[]>
}

/** Users and their API keys. Every method takes a database or the caller's transaction first. */
export function createAccounts(clock: Pick<Clock, 'now' | 'monotonicMs'> = systemClock): Accounts {
  const cache = createKeyCache(clock)
  const insertKey = async (db: Db, user: UserId, { name, expiresAt }: KeyRequest) => {
    const apiKey = newApiKey()
    const hash = hashOf(apiKey)
    const id = keyId.create()
    const row = { id, hash, userId: user, name: name ?? null, expiresAt: expiresAt ?? null }
    return { ...(await insertApiKey(db, row)), apiKey }
  }
  const changingKeys = <T>(db: Db, change: (tx: Db) => Promise<T>) =>
    inTransaction(db, change).finally(cache.clear)

  return {
    create: (db, { name } = {}) =>
      inTransaction(db, async (tx) => {
        const id = userId.create()
        await insertUser(tx, id, name ?? null)
        const { apiKey } = await insertKey(tx, id, {})
        return { id, apiKey }
      }),

    exists: userExists,

    async holderOfKey(db, key) {
      // A malformed key costs no query.
      if (!isApiKey(key)) return undefined
      const now = clock.now()
      const hash = hashOf(key)
      const isDue = ({ lastUsedAt }: CachedKey) =>
        now.getTime() - (lastUsedAt?.getTime() ?? 0) > LIMITS.keyUseEveryMs
      const cached = cache.find(hash)
      if (cached && !isDue(cached)) return { userId: cached.userId, keyId: cached.id }

      const store = cache.beginRead()
      const found = await findKeyOfHash(db, hash, now)
      if (!found) return undefined
      if (isDue(found)) await updateKeyUse(db, found.id, now)
      store(hash, isDue(found) ? { ...found, lastUsedAt: now } : found)
      return { userId: found.userId, keyId: found.id }
    },

    createKey: (db, user, wanted) =>
      changingKeys(db, async (tx) => {
        const now = clock.now()
        if (wanted.expiresAt && wanted.expiresAt <= now) {
          throw new AppError('invalid_request', 'expiresAt must be in the future')
        }
        if (wanted.replaces !== undefined) await replace(tx, user, wanted, now)
        if ((await countActiveKeys(tx, user, now)) >= LIMITS.apiKeysPerUserMax) {
          const detail = `A user may have ${LIMITS.apiKeysPerUserMax} active keys: revoke one first`
          throw new AppError('invalid_request', detail)
        }
        return insertKey(tx, user, wanted)
      }),

    keys: readApiKeys,

    revoke: (db, user, given) =>
      changingKeys(db, async (tx) => {
        const id = keyId.parse(given)
        if (id && (await revokeKey(tx, user, id, clock.now()))) return id
        throw unknownKey(given)
      }),

    activeKeys: (db, among) => readActiveKeys(db, among, clock.now())
  }
}

async function replace(
  tx: Db,
  user: UserId,
  { replaces = '', overlapSeconds = 0 }: KeyRequest,
  now: Date
): Promise<void> {
  const id = keyId.parse(replaces)
  const end = new Date(now.getTime() + overlapSeconds * 1000)
  const isDone =
    id &&
    (overlapSeconds === 0
      ? await revokeKey(tx, user, id, now)
      : await expireKey(tx, user, id, end, now))
  if (!isDone) throw unknownKey(replaces)
}

const unknownKey = (id: string) => new AppError('not_found', `There is no active key ${id}`)
