import { sql } from 'kysely'
import { reserveUlid, type ReservedUlid, type UserId } from '#kernel/ids.ts'
import { LIMITS } from '#kernel/limits.ts'
import type { Db } from './db.ts'

/** A request with an idempotency key. It is the same request if owner, key, route and body hash are equal. */
export interface IdempotentRequest {
  readonly owner: string
  readonly key: string
  readonly route: string
  readonly bodyHash: string
}

export interface StoredAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export type Claim =
  /** `reservedId` is the id of the resource that the request creates; a later attempt gets the same one. */
  | { readonly kind: 'mine'; readonly reservedId: ReservedUlid }
  | { readonly kind: 'in-flight' }
  | { readonly kind: 'reused' }
  | { readonly kind: 'answered'; readonly answer: StoredAnswer }

export interface IdempotencyStore {
  /** Claims the key, or reports the state of the request that claimed it first. */
  claim(request: IdempotentRequest): Promise<Claim>
  /** Heartbeat of a claim whose request is in progress. */
  touch(request: IdempotentRequest): Promise<void>
  finish(request: IdempotentRequest, answer: StoredAnswer): Promise<void>
  /** Releases the claim after a non-final answer: the request can be repeated, with the same reserved id. */
  release(request: IdempotentRequest): Promise<void>
  /** Deletes keys that are older than their time to live. */
  deleteExpired(): Promise<void>
}

/** Of concurrent requests with the same key, on any number of servers, one gets the claim: the primary key decides. */
export function createIdempotencyStore(db: Db): IdempotencyStore {
  const mine = ({ owner, key, route, bodyHash }: IdempotentRequest) => sql`
    user_id = ${owner} AND key = ${key} AND route = ${route} AND body_hash = ${bodyHash}
      AND status IS NULL`

  return {
    async claim(request) {
      const reservedId = await insertKey(db, request)
      return reservedId ? { kind: 'mine', reservedId } : readKey(db, request)
    },

    async touch(request) {
      await sql`UPDATE idempotency_keys SET created_at = now() WHERE ${mine(request)}`.execute(db)
    },

    async finish(request, { status, headers, body }) {
      await sql`
        UPDATE idempotency_keys
        SET status = ${status}, headers = ${JSON.stringify(headers)}, body = ${body}
        WHERE ${mine(request)}`.execute(db)
    },

    async release(request) {
      await sql`
        UPDATE idempotency_keys SET created_at = ${ago(LIMITS.idempotencyAbandonedMs)}
        WHERE ${mine(request)}`.execute(db)
    },

    async deleteExpired() {
      await sql`DELETE FROM idempotency_keys WHERE created_at < ${ago(LIMITS.idempotencyKeyTtlMs)}`.execute(
        db
      )
    }
  }
}

const ago = (ms: number) => sql`now() - make_interval(secs => ${ms / 1000})`

/**
 * Claims a new, expired or abandoned key. A repeated request whose first server died gets the same reserved id, and so
 * finds the resource that the first attempt may have created.
 */
async function insertKey(
  db: Db,
  { owner, key, route, bodyHash }: IdempotentRequest
): Promise<ReservedUlid | undefined> {
  const reservedId = reserveUlid()
  const { rows } = await sql<{ ulid: string }>`
    INSERT INTO idempotency_keys AS held (user_id, key, route, body_hash, ulid)
    VALUES (${owner}, ${key}, ${route}, ${bodyHash}, ${reservedId.ulid})
    ON CONFLICT (user_id, key) DO UPDATE
    SET route = excluded.route, body_hash = excluded.body_hash, created_at = now(),
      status = NULL, headers = NULL, body = NULL,
      ulid = CASE WHEN held.status IS NULL AND (held.route, held.body_hash) =
          (excluded.route, excluded.body_hash) THEN coalesce(held.ulid, excluded.ulid)
        ELSE excluded.ulid END
    WHERE held.created_at < ${ago(LIMITS.idempotencyKeyTtlMs)}
      OR (held.status IS NULL AND held.created_at <= ${ago(LIMITS.idempotencyAbandonedMs)})
    RETURNING ulid`.execute(db)
  const [row] = rows
  return row && { ulid: row.ulid, mayExist: row.ulid !== reservedId.ulid }
}

async function readKey(db: Db, { owner, key, route, bodyHash }: IdempotentRequest): Promise<Claim> {
  const row = await db
    .selectFrom('idempotency_keys')
    .select(['route', 'body_hash', 'status', 'headers', 'body'])
    .where('user_id', '=', owner as UserId)
    .where('key', '=', key)
    .executeTakeFirst()

  // Deleted between the two statements: the next attempt will claim it.
  if (!row) return { kind: 'in-flight' }
  if (row.route !== route || row.body_hash !== bodyHash) return { kind: 'reused' }
  if (row.status === null) return { kind: 'in-flight' }
  const headers = (row.headers ?? {}) as Record<string, string>
  return { kind: 'answered', answer: { status: row.status, headers, body: row.body ?? '' } }
}
