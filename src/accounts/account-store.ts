import type { Db } from '#db'
import type { UserId } from '#kernel/ids.ts'

export async function insertUser(db: Db, id: UserId, name: string | null): Promise<void> {
  await db.insertInto('users').values({ id, name }).execute()
}

export async function userExists(db: Db, id: UserId): Promise<boolean> {
  const row = await db.selectFrom('users').select('id').where('id', '=', id).executeTakeFirst()
  return row !== undefined
}
