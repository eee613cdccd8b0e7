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
    /** `sealed`: what is answered holds a secret, so it is kept so that only the one who asked can read it. */
    idempotent?: 'plain' | 'sealed'
  }
  interface FastifyRequest {
    claimed: Claimed | null
  }
}

/** The key that a request has taken, and how to stop saying that it is at work. */
interface Claimed {
  readonly request: IdempotentRequest
  readonly reservedId: ReservedUlid
  readonly stop: () => void
}

const FORGET_EVERY_MS = 3_600_000
const KEPT_HEADERS = ['content-type', 'location'] as const

/** Under one `Idempotency-Key` a thing happens once, and is answered the same every time. */
export function replayAnswers(app: App, store: IdempotencyStore): void {
  app.decorateRequest('claimed', null)

  app.addHook('preHandler', async (request, reply) => {
    const asked = idempotentRequest(request)
    if (!asked) return
    const claim = await store.claim(asked)
    switch (claim.kind) {
      case 'mine':
        request.claimed = {
          request: asked,
          reservedId: claim.reservedId,
          stop: keepTouching(store, asked)
        }
        return
      case 'answered':
        return replay(request, reply, claim.answer)
      case 'reused':
        throw new AppError('idempotency_key_reused', 'This key was used for another request')
      case 'in-flight':
        throw new AppError('idempotency_in_flight', 'The first request with this key is running')
    }
  })

  app.addHook('onSend', async (request, reply, payload) => {
    if (!request.claimed) return
    const { request: asked, stop } = request.claimed
    stop()
    try {
      if (isFinal(reply.statusCode)) await store.finish(asked, answerOf(request, reply, payload))
      else await store.release(asked)
    } catch (err) {
      request.log.error({ err }, 'idempotent answer not kept')
    }
  })

  const forgetting = setInterval(() => {
    store.forget().catch((err: unknown) => app.log.warn({ err }, 'idempotency keys not forgotten'))
  }, FORGET_EVERY_MS).unref()
  app.addHook('onClose', async () => clearInterval(forgetting))
}

/** The id of what this request makes: under a key, the same each time that it is tried. */
export const reservedUlidOf = (request: FastifyRequest): ReservedUlid =>
  request.claimed?.reservedId ?? reserveUlid()

/** The same request after a refusal that is not final may end differently, so it may be made again. */
const isFinal = (status: number) => status < 500 && status !== 429

function idempotentRequest(request: FastifyRequest): IdempotentRequest | undefined {
  const key = request.headers['idempotency-key']
  if (!request.routeOptions.config.idempotent || typeof key !== 'string') return undefined
  // Nothing happens in a dry run, and the key stays free for the request that it was tried for.
  if ((request.query as { dryRun?: boolean }).dryRun) return undefined
  return {
    owner: request.userId ?? 'operator',
    key,
    route: `${request.method} ${request.url.split('?', 1)[0]}`,
    bodyHash: createHash('sha256').update(canonicalJson(request.body)).digest('hex')
  }
}

/** A server that dies stops touching, and its key is free again soon after. */
function keepTouching(store: IdempotencyStore, asked: IdempotentRequest): () => void {
  const touching = setInterval(() => {
    store.touch(asked).catch(() => {})
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
/** Known to the one who asks, and nowhere in the database. */
const secretOf = (request: FastifyRequest) => request.headers.authorization ?? ''
