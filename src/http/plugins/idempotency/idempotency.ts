import { createHash } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { IdempotencyStore, IdempotentRequest, StoredAnswer } from '#db'
import { AppError } from '#kernel/errors.ts'
import { reserveUlid, type ReservedUlid } from '#kernel/ids.ts'
import { LIMITS } from '#kernel/limits.ts'
import type { App } from '../../app-deps.ts'
import { canonicalJson } from './canonical-json.ts'
import { openSealed, seal } from './seal.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** `sealed`: the answer contains a secret, so it is stored encrypted with the client's own credentials. */
    idempotent?: 'plain' | 'sealed'
  }
  interface FastifyRequest {
    claimed: Claimed | null
  }
}

/** The claim of a request on its key, and how to stop its heartbeat. */
interface Claimed {
  readonly request: IdempotentRequest
  readonly reservedId: ReservedUlid
  readonly stop: () => void
}

const DELETE_EXPIRED_EVERY_MS = 3_600_000
const KEPT_HEADERS = ['content-type', 'location'] as const

/**
 * Deduplicates requests by `Idempotency-Key`: the first request is executed and its answer stored; later ones get the
 * stored answer.
 */
export function replayAnswers(app: App, store: IdempotencyStore): void {
  app.decorateRequest('claimed', null)

  app.addHook('preHandler', async (request, reply) => {
    const keyed = idempotentRequest(request)
    if (!keyed) return
    const claim = await store.claim(keyed)
    switch (claim.kind) {
      case 'mine':
        request.claimed = {
          request: keyed,
          reservedId: claim.reservedId,
          stop: keepTouching(store, keyed)
        }
        return
      case 'answered':
        return replay(request, reply, claim.answer)
      case 'reused':
        throw new AppError(
          'idempotency_key_reused',
          'This Idempotency-Key was used for a different request: use a new key'
        )
      case 'in-flight':
        throw new AppError(
          'idempotency_in_flight',
          'The first request with this Idempotency-Key is in progress: retry later'
        )
    }
  })

  app.addHook('onSend', async (request, reply, payload) => {
    if (!request.claimed) return
    const { request: keyed, stop } = request.claimed
    stop()
    try {
      if (isFinal(reply.statusCode)) await store.finish(keyed, answerOf(request, reply, payload))
      else await store.release(keyed)
    } catch (err) {
      request.log.error({ err }, 'failed to store idempotent answer')
    }
  })

  const deleting = setInterval(() => {
    store
      .deleteExpired()
      .catch((err: unknown) => app.log.warn({ err }, 'failed to delete expired idempotency keys'))
  }, DELETE_EXPIRED_EVERY_MS).unref()
  app.addHook('onClose', async () => clearInterval(deleting))
}

/** The ULID of the resource that this request creates: under a key, the same for each attempt. */
export const reservedUlidOf = (request: FastifyRequest): ReservedUlid =>
  request.claimed?.reservedId ?? reserveUlid()

/**
 * A refusal had no effect, and what it was for may change: credits are bought, a job ends, a file is saved. So only
 * successes are stored, and a refused request is carried out when it comes again.
 */
const isFinal = (status: number) => status < 400

function idempotentRequest(request: FastifyRequest): IdempotentRequest | undefined {
  const key = request.headers['idempotency-key']
  if (!request.routeOptions.config.idempotent || typeof key !== 'string') return undefined
  // A dry run has no effect, so it does not claim the key.
  if ((request.query as { dryRun?: boolean }).dryRun) return undefined
  return {
    owner: request.userId ?? 'operator',
    key,
    route: `${request.method} ${request.url.split('?', 1)[0]}`,
    bodyHash: createHash('sha256').update(canonicalJson(request.body)).digest('hex')
  }
}

/** Heartbeat: when a server dies, its claims become stale and the keys can be claimed again. */
function keepTouching(store: IdempotencyStore, keyed: IdempotentRequest): () => void {
  const touching = setInterval(() => {
    store.touch(keyed).catch(() => {})
  }, LIMITS.idempotencyTouchEveryMs).unref()
  return () => clearInterval(touching)
}

function answerOf(request: FastifyRequest, reply: FastifyReply, payload: unknown): StoredAnswer {
  const body = typeof payload === 'string' ? payload : ''
  const headers: Record<string, string> = {}
  for (const name of KEPT_HEADERS) {
    const value = reply.getHeader(name)
    if (value !== undefined) headers[name] = String(value)
  }
  return {
    status: reply.statusCode,
    headers,
    body: isSealed(request) ? seal(body, secretOf(request)) : body
  }
}

function replay(
  request: FastifyRequest,
  reply: FastifyReply,
  { status, headers, body }: StoredAnswer
) {
  return reply
    .code(status)
    .headers({ ...headers, 'idempotent-replayed': 'true' })
    .serializer((text: string) => text)
    .send(isSealed(request) ? openSealed(body, secretOf(request)) : body)
}

const isSealed = (request: FastifyRequest) => request.routeOptions.config.idempotent === 'sealed'
/** The client's credentials, which the database does not contain. */
const secretOf = (request: FastifyRequest) => request.headers.authorization ?? ''
