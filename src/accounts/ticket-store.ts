import type { Db } from '#db'
import type { ProjectId, UserId } from '#kernel/ids.ts'
import { hashOf, newSecret } from './keys.ts'

export interface Ticket {
  readonly ticket: string
  readonly expiresAt: Date
}

export interface TicketHolder {
  readonly userId: UserId
  readonly projectId: ProjectId
}

/** A way into one project's socket, for a browser that cannot send a header. It opens once, and not for long. */
export async function issueTicket(
  db: Db,
  userId: UserId,
  projectId: ProjectId,
  ttlMs: number,
  now: Date
): Promise<Ticket> {
  const ticket = newSecret()
  const expiresAt = new Date(now.getTime() + ttlMs)

  // Tickets that nobody came with are swept out by whoever comes for the next one.
  await db.deleteFrom('ws_tickets').where('expires_at', '<=', now).execute()
  await db
    .insertInto('ws_tickets')
    .values({
      hash: hashOf(ticket),
      user_id: userId,
      project_id: projectId,
      expires_at: expiresAt
    })
    .execute()
  return { ticket, expiresAt }
}

/** Tears the ticket and says whose it was; undefined when it is torn, run out or not one of ours. */
export async function redeemTicket(
  db: Db,
  ticket: string,
  now: Date
): Promise<TicketHolder | undefined> {
  const row = await db
    .deleteFrom('ws_tickets')
    .where('hash', '=', hashOf(ticket))
    .returning(['user_id', 'project_id', 'expires_at'])
    .executeTakeFirst()
  if (!row || row.expires_at <= now) return undefined
  return { userId: row.user_id, projectId: row.project_id }
}
