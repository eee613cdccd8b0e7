import type { Generated } from 'kysely'
import type { KeyId, ProjectId, UserId } from '#kernel/ids.ts'
import type { Time } from './columns.ts'

export interface ApiKeysTable {
  /** SHA-256 of the key, hex: the key itself is shown once and never stored. */
  hash: string
  user_id: UserId
  created_at: Generated<Date>
  /** May be shown, unlike the hash. */
  id: KeyId
  name: string | null
  expires_at: Time | null
  revoked_at: Time | null
  /** At most a minute old while the key is used. */
  last_used_at: Time | null
}

export interface WsTicketsTable {
  /** SHA-256 of the ticket, hex. */
  hash: string
  user_id: UserId
  project_id: ProjectId
  expires_at: Time
  /** Null for a ticket of an earlier version. */
  key_id: KeyId | null
}
