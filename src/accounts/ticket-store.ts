import type { Db } from '#db'
import type { KeyId, ProjectId, UserId } from '#kernel/ids.ts'
import { hashOf, newSecret } from './keys.ts'

export interface Ticket {
  readonly ticket: string
  readonly expiresAt: Date
}

export interface TicketHolder {
  readonly userId: UserId
  readonly projectId: ProjectId
  /** The key that it was issued with: what the ticket opens ends with the key. */
  readonly keyId: KeyId | null
}

/** Creates a one-time ticket for a socket to one project, for browsers, which cannot set headers of a WebSocket. */
export async function issueTicket(
  db: Db,
  { userId, projectId, keyId }: TicketHolder,
  ttlMs: number,
  now: Date
): Promise<Ticket> {
  const ticket = newSecret()
  const expiresAt = new Date(now.getTime() + ttlMs)

  // Each new ticket deletes the expired ones.
  await db.deleteFrom('ws_tickets').where('expires_at', '<=', now).execute()
  await db
    .insertInto('ws_tickets')
    .values({
      hash: hashOf(ticket),
      user_id: userId,
      project_id: projectId,
      expires_at: expiresAt,
      key_id: keyId
    })
    .execute()
  return { ticket, expiresAt }
}

/** Deletes the ticket and returns its holder; undefined when it is used, expired or unknown. */
export async function redeemTicket(
  db: Db,
  ticket: string,
  now: Date
): Promise<TicketHolder | undefined> {
  const row = await db
    .deleteFrom('ws_tickets')
    .where('hash', '=', hashOf(ticket))
    .returning(['user_id', 'project_id', 'expires_at', 'key_id'])
    .executeTakeFirst()
  if (!row || row.expires_at <= now) return undefined
  return { userId: row.user_id, projectId: row.project_id, keyId: row.key_id }
}
