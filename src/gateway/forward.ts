import type { Readable } from 'node:stream'
import type { ServerResponse } from 'node:http'
import { Buffer } from 'node:buffer'
import { request as send, type Dispatcher } from 'undici'
import type { Usage } from '#kernel/agent-events.ts'
import type { Clock } from '#kernel/clock.ts'
import { LIMITS } from '#kernel/limits.ts'
import { watchAgent } from './answers/agent-connection.ts'
import { complaintOf, fail, type Answering } from './answers/answering.ts'
import { createCallIds } from './answers/call-ids.ts'
import { decoded } from './answers/content-encoding.ts'
import { passStreamed } from './answers/pass-stream.ts'
import { passWhole } from './answers/pass-whole.ts'
import { watchSilence } from './answers/silence.ts'
import { headersForAgent, retryAfterMs } from './headers.ts'
import type { AnswerCount, ModelProtocol } from './protocols/protocol.ts'

export interface Forwarding {
  readonly url: string
  readonly headers: Record<string, string>
  readonly body: string
  /** The request asks for a streamed answer. */
  readonly streams: boolean
  /** An answer without content is a good one. */
  readonly mayBeEmpty: boolean
  readonly response: ServerResponse
  readonly dispatcher: Dispatcher
  readonly protocol: ModelProtocol
  readonly count: AnswerCount
  /** Removes the provider's key from texts of the provider. */
  readonly scrub: (text: string) => string
  /** Aborts when no one waits for the answer any more: its job has ended. */
  readonly signal: AbortSignal
  /** How long an answer is read after the agent has disconnected: its end contains the usage. */
  readonly drainMs: number
  /** Timeout without content within an answer: the connection counts as broken. */
  readonly silenceMs: number
  readonly clock: Clock
}

export interface Forwarded {
  readonly outcome: 'served' | 'estimated' | 'refused' | 'unanswered'
  readonly status: number | null
  readonly ttfbMs: number | null
  readonly durationMs: number
  /** The provider's count. Undefined: nothing was used, or it has to be estimated. */
  readonly reported: Usage | undefined
  /** How long the provider wants the agent to wait after a refusal. */
  readonly waitMs?: number | undefined
  /** The error of the connection to the provider, unless the gateway itself aborted it. */
  readonly failure?: unknown
}

/** After the end of an answer its connection is read for the rest, so that it can be used again. */
const REST_BYTES_MAX = 64 * 1024
const REST_MS_MAX = 500

/**
 * Forwards a request to its provider and streams the answer back with backpressure. When the provider's connection
 * breaks, the agent's connection is reset after the same event, so that Kilo sees the failure as it happened.
 */
export async function forward(forwarding: Forwarding): Promise<Forwarded> {
  const { url, headers, body, dispatcher, response, protocol, count, scrub, clock } = forwarding
  const startedAt = clock.monotonicMs()
  let ttfbMs: number | null = null
  let failure: unknown
  const ended = (outcome: Forwarded['outcome'], status: number | null): Forwarded => {
    const durationMs = Math.round(clock.monotonicMs() - startedAt)
    return { outcome, status, ttfbMs, durationMs, reported: count.reported(), failure }
  }

  using agent = watchAgent(response, forwarding.drainMs, forwarding.signal)
  // A stream without a first byte has produced no tokens; an unstreamed answer is produced before its first byte.
  if (!forwarding.streams) agent.keepReading()
  const signal = AbortSignal.any([forwarding.signal, agent.timedOut])
  const breakOff = (error: unknown) => {
    if (!signal.aborted) failure = error
    agent.reset()
  }
  const upstream = await send(url, {
    ...{ method: 'POST', headers, body, dispatcher, signal },
    headersTimeout: 0,
    bodyTimeout: forwarding.streams ? 0 : forwarding.silenceMs
  }).catch(breakOff)
  if (!upstream) {
    return ended(signal.aborted && !forwarding.streams ? 'estimated' : 'unanswered', null)
  }
  agent.keepReading()
  const status = upstream.statusCode
  if (status >= 400) {
    ttfbMs = Math.round(clock.monotonicMs() - startedAt)
    await passError(forwarding, upstream).catch(breakOff)
    const waitMs = isTemporary(status) ? retryAfterMs(upstream.headers, clock.now()) : undefined
    return { ...ended('refused', status), waitMs }
  }

  using silence = watchSilence(count, forwarding.silenceMs)
  silence.signal.addEventListener('abort', () =>
    upstream.body.destroy(new Error('The model provider has sent no content for too long'))
  )
  const passed = headersForAgent(upstream.headers)
  const contentType = passed['content-type'] ?? ''
  const { mayBeEmpty } = forwarding
  const answering = {
    mayBeEmpty,
    status,
    contentType,
    headers: passed,
    response,
    agent,
    protocol,
    count,
    callIds: createCallIds(),
    silence,
    scrub
  }
  const onFirstByte = () => (ttfbMs ??= Math.round(clock.monotonicMs() - startedAt))
  await pass(answering, upstream, forwarding.streams, onFirstByte).catch(breakOff)
  return ended(count.reported() ? 'served' : 'estimated', status)
}

/** The agent repeats a request only after these. */
const isTemporary = (status: number) => status === 429 || status >= 500

async function pass(
  answering: Answering,
  { headers, body }: Dispatcher.ResponseData,
  streams: boolean,
  onFirstByte: () => void
): Promise<void> {
  const encoding = headers['content-encoding']?.toString()
  const plain = decoded(body, encoding)
  if (typeof plain === 'string') {
    body.destroy()
    const what = `sent an answer in the unknown encoding ${plain}`
    return fail(answering, complaintOf(answering, what, Buffer.alloc(0)))
  }
  const bytes = watched(plain.iterator({ destroyOnReturn: false }), onFirstByte)
  if (streams) await passStreamed(answering, bytes)
  else await passWhole(answering, bytes, false)
  await bytes.return()
  discardRest(body)
}

async function* watched(
  bytes: AsyncIterable<Uint8Array>,
  onFirstByte: () => void
): AsyncGenerator<Uint8Array, void, void> {
  for await (const chunk of bytes) {
    onFirstByte()
    yield chunk
  }
}

/** A well-behaved provider ends right after its last event, and its connection is used again. */
function discardRest(body: Readable): void {
  if (body.readableEnded || body.destroyed) return
  let size = 0
  const timer = setTimeout(() => body.destroy(), REST_MS_MAX)
  body.on('error', () => {})
  body.once('close', () => clearTimeout(timer))
  body.on('data', (chunk: Buffer) => {
    size += chunk.length
    if (size > REST_BYTES_MAX) body.destroy()
  })
}

async function passError(
  { response, scrub }: Forwarding,
  upstream: Dispatcher.ResponseData
): Promise<void> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of upstream.body as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > LIMITS.modelErrorBytesMax) break
    chunks.push(chunk)
  }
  response.writeHead(upstream.statusCode, headersForAgent(upstream.headers))
  response.end(scrub(Buffer.concat(chunks).toString()))
}
