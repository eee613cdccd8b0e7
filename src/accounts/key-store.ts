import type { ExpressionBuilder } from 'kysely'
import type { Db, Schema } from '#db'
import type { KeyId, UserId } from '#kernel/ids.ts'

/** An API key without its secret. */
export interface ApiKey {
  readonly id: KeyId
  readonly name: string | null
  readonly createdAt: Date
  readonly expiresAt: Date | null
  readonly lastUsedAt: Date | null
  readonly revokedAt: Date | null
}

const COLUMNS = [
  'id',
  'name',
  'created_at as createdAt',
  'expires_at as expiresAt',
  'last_used_at as lastUsedAt',
  'revoked_at as revokedAt'
] as const

export interface NewKey {
  readonly id: KeyId
  readonly hash: string
  readonly userId: UserId
  readonly name: string | null
  readonly expiresAt: Date | null
}

export function insertApiKey(db: Db, key: NewKey): Promise<ApiKey> {
  return db
    .insertInto('api_keys')
    .values({
      id: key.id,
      hash: key.hash,
      user_id: key.userId,
      name: key.name,
      expires_at: key.expiresAt,
      revoked_at: null,
      last_used_at: null
    })
    .returning(COLUMNS)
    .executeTakeFirstOrThrow()
}

/** A condition: neither revoked nor expired. */
const isActive = (now: Date) => (of: ExpressionBuilder<Schema, 'api_keys'>) =>
  of('revoked_at', 'is', null).and(
    of.or([of('expires_at', 'is', null), of('expires_at', '>', now)])
  )

const active = (db: Db, now: Date) => db.selectFrom('api_keys').where(isActive(now))

export function findKeyOfHash(db: Db, hash: string, now: Date) {
  return active(db, now)
    .select(['id', 'user_id as userId', 'expires_at as expiresAt', 'last_used_at as lastUsedAt'])
    .where('hash', '=', hash)
    .executeTakeFirst()
}

/** Those of the given keys that are active. */
export async function readActiveKeys(db: Db, among: readonly KeyId[], now: Date): Promise<KeyId[]> {
  if (among.length === 0) return []
  const rows = await active(db, now).select('id').where('id', 'in', among).execute()
  return rows.map(({ id }) => id)
}

export async function countActiveKeys(db: Db, userId: UserId, now: Date): Promise<number> {
  const { keys } = await active(db, now)
    .select((of) => of.fn.countAll<string>().as('keys'))
    .where('user_id', '=', userId)
    .executeTakeFirstOrThrow()
  return Number(keys)
}

/** Newest first, with those that are revoked or expired. */
export function readApiKeys(
  db: Db,
  userId: UserId,
  page: { readonly before?: string | undefined; readonly limit: number }
): Promise<ApiKey[]> {
  let query = db
    .selectFrom('api_keys')
    .select(COLUMNS)
    .where('user_id', '=', userId)
    .orderBy('id', 'desc')
    .limit(page.limit)
  if (page.before !== undefined) query = query.where('id', '<', page.before as KeyId)
  return query.execute()
}

export async function updateKeyUse(db: Db, id: KeyId, at: Date): Promise<void> {
  await db.updateTable('api_keys').set({ last_used_at: at }).where('id', '=', id).execute()
}

/** Revokes an active key and deletes its tickets. False when the user has no active key with this id. */
export async function revokeKey(db: Db, userId: UserId, id: KeyId, now: Date): Promise<boolean> {
  const row = await db
    .updateTable('api_keys')
    .set({ revoked_at: now })
    .where('id', '=', id)
    .where('user_id', '=', userId)
    .where(isActive(now))
    .returning('id')
    .executeTakeFirst()
  if (row) await db.deleteFrom('ws_tickets').where('key_id', '=', id).execute()
  return row !== undefined
}

/** Lets an active key expire at this time, or when it would expire anyway. False as above. */
export async function expireKey(
  db: Db,
  userId: UserId,
  id: KeyId,
  at: Date,
  now: Date
): Promise<boolean> {
  const row = await db
    .updateTable('api_keys')
    .set((of) => ({ expires_at: of.fn<Date>('least', ['expires_at', of.val(at)]) }))
    .where('id', '=', id)
    .where('user_id', '=', userId)
    .where(isActive(now))
    .returning('id')
    .executeTakeFirst()
  return row !== undefined
}
