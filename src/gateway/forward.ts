import { Buffer } from 'node:buffer'
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { request as send, type Dispatcher } from 'undici'
import type { Usage } from '#kernel/agent-events.ts'
import { LIMITS } from '#kernel/limits.ts'
import { createAnswerReader } from './protocols/answer-reader.ts'
import { headersForAgent } from './headers.ts'
import type { AnswerCount } from './protocols/protocol.ts'

export interface Forwarding {
  readonly url: string
  readonly headers: Record<string, string>
  readonly body: Buffer | string
  /** The request asks for a streamed answer. */
  readonly streams: boolean
  readonly response: ServerResponse
  readonly dispatcher: Dispatcher
  readonly count: AnswerCount
  /** Removes the provider's key from error bodies. */
  readonly scrub: (text: string) => string
  /** Aborts when no one waits for the answer any more: its job has ended. */
  readonly signal: AbortSignal
  /** How long an answer is read after the agent has disconnected: its end contains the usage. */
  readonly drainMs: number
  /** Timeout without a byte within an answer: the connection counts as broken. */
  readonly silenceMs: number
  readonly now: () => number
}

export interface Forwarded {
  readonly outcome: 'served' | 'estimated' | 'refused' | 'unanswered'
  readonly status: number | null
  readonly ttfbMs: number | null
  readonly durationMs: number
  /** The provider's count. Undefined: nothing was used, or it has to be estimated. */
  readonly reported: Usage | undefined
  /** The error of the connection to the provider, unless the gateway itself aborted it. */
  readonly failure?: unknown
}

/**
 * Forwards a request to its provider and streams the answer back with backpressure. When the provider's connection
 * breaks, the agent's connection is reset at the same byte, so that Kilo sees the failure as it happened.
 */
export async function forward(forwarding: Forwarding): Promise<Forwarded> {
  const { url, headers, body, dispatcher, response, count, now } = forwarding
  const startedAt = now()
  let ttfbMs: number | null = null
  let failure: unknown
  const ended = (outcome: Forwarded['outcome'], status: number | null): Forwarded => {
    const durationMs = Math.round(now() - startedAt)
    return { outcome, status, ttfbMs, durationMs, reported: count.reported(), failure }
  }

  using reader = watchReader(response, forwarding.drainMs)
  // A stream without a first byte has produced no tokens; an unstreamed answer is produced before its first byte.
  if (!forwarding.streams) reader.keepReading()
  const signal = AbortSignal.any([forwarding.signal, reader.timedOut])
  const breakOff = (error: unknown) => {
    if (!signal.aborted) failure = error
    reset(response.socket)
  }
  const upstream = await send(url, {
    method: 'POST',
    headers,
    body,
    dispatcher,
    signal,
    headersTimeout: 0,
    bodyTimeout: forwarding.silenceMs
  }).catch(breakOff)
  if (!upstream) {
    return ended(signal.aborted && !forwarding.streams ? 'estimated' : 'unanswered', null)
  }
  reader.keepReading()
  const status = upstream.statusCode
  if (status >= 400) {
    ttfbMs = Math.round(now() - startedAt)
    await passError(forwarding, upstream).catch(breakOff)
    return ended('refused', status)
  }

  const passedBack = headersForAgent(upstream.headers)
  const answer = createAnswerReader(passedBack['content-type'] ?? '', count)
  try {
    response.writeHead(status, passedBack)
    response.flushHeaders()
    for await (const chunk of upstream.body as AsyncIterable<Buffer>) {
      ttfbMs ??= Math.round(now() - startedAt)
      if (!reader.gone && !response.write(chunk)) await reader.drained()
      answer.feed(chunk)
    }
    answer.end()
    response.end()
  } catch (error) {
    answer.end()
    breakOff(error)
  }
  return ended(count.reported() ? 'served' : 'estimated', status)
}

/** A Unix socket cannot be reset. A room resets the connection inside instead when one of its services closes. */
function reset(socket: Socket | null): void {
  if (socket?.remoteAddress === undefined) socket?.destroy()
  else socket.resetAndDestroy()
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

/** Observes whether the agent still reads the answer, and ends the drain time after it has disconnected. */
function watchReader(response: ServerResponse, drainMs: number) {
  const drainTimeout = new AbortController()
  let timer: NodeJS.Timeout | undefined
  let gone = false
  let isKept = false
  let wake = () => {}
  const disconnected = () => {
    gone = true
    wake()
    if (response.writableFinished) return
    if (isKept) timer ??= setTimeout(() => drainTimeout.abort(), drainMs)
    else drainTimeout.abort()
  }
  const go = () => wake()
  response.on('close', disconnected)
  response.on('drain', go)
  if (response.destroyed) disconnected()

  return {
    get gone() {
      return gone
    },
    timedOut: drainTimeout.signal,
    /** From now on a disconnect does not abort the request: the answer is read to its end, or for `drainMs`. */
    keepReading() {
      isKept = true
    },
    /** Resolves when the agent has read the written data, or has disconnected. */
    drained: () => (gone ? Promise.resolve() : new Promise<void>((resolve) => (wake = resolve))),
    [Symbol.dispose]() {
      clearTimeout(timer)
      response.off('close', disconnected)
      response.off('drain', go)
    }
  }
}
