import type { Db } from '#db'
import type { UserId } from '#kernel/ids.ts'

/** Users and the hashes of their keys. */
export async function insertUser(db: Db, id: UserId, name: string | null): Promise<void> {
  await db.insertInto('users').values({ id, name }).execute()
}

export async function insertApiKey(db: Db, userId: UserId, hash: string): Promise<void> {
  await db.insertInto('api_keys').values({ hash, user_id: userId }).execute()
}

export async function findUserOfHash(db: Db, hash: string): Promise<UserId | undefined> {
  const row = await db
    .selectFrom('api_keys')
    .select('user_id')
    .where('hash', '=', hash)
    .executeTakeFirst()
  return row?.user_id
}
