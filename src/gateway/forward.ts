import { Buffer } from 'node:buffer'
import type { ServerResponse } from 'node:http'
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
  /** It asks for its answer in pieces. */
  readonly streams: boolean
  readonly response: ServerResponse
  readonly dispatcher: Dispatcher
  readonly count: AnswerCount
  /** Takes the provider's key out of what is told of an error. */
  readonly scrub: (text: string) => string
  /** Aborts when the answer is of no use to anybody any more. */
  readonly signal: AbortSignal
  /** How long an answer is read on that its reader has left: its end says what it costs. */
  readonly drainMs: number
  /** A provider that says nothing for this long within its answer is gone. */
  readonly silenceMs: number
  readonly now: () => number
}

export interface Forwarded {
  readonly outcome: 'served' | 'estimated' | 'refused' | 'unanswered'
  readonly status: number | null
  readonly ttfbMs: number | null
  readonly durationMs: number
  /** Undefined: nothing was used, or it has to be estimated. */
  readonly told: Usage | undefined
  /** Why the connection to the provider broke, if it did and nobody here broke it off. */
  readonly failure?: unknown
}

/**
 * Sends a request to its provider and the answer back as it comes, at the pace of the slower of the two. A connection
 * that breaks on that side breaks on this side too, at the same point, so that Kilo sees what really happened.
 */
export async function forward(forwarding: Forwarding): Promise<Forwarded> {
  const { url, headers, body, dispatcher, response, count, now } = forwarding
  const startedAt = now()
  let ttfbMs: number | null = null
  let failure: unknown
  const ended = (outcome: Forwarded['outcome'], status: number | null): Forwarded => {
    const durationMs = Math.round(now() - startedAt)
    return { outcome, status, ttfbMs, durationMs, told: count.told(), failure }
  }

  using reader = watchReader(response, forwarding.drainMs)
  // A stream that has not begun has made nothing yet, but a whole answer is made before its first byte.
  if (!forwarding.streams) reader.stay()
  const signal = AbortSignal.any([forwarding.signal, reader.gaveUp])
  const breakOff = (error: unknown) => {
    if (!signal.aborted) failure = error
    response.socket?.resetAndDestroy()
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
  reader.stay()
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
  return ended(count.told() ? 'served' : 'estimated', status)
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

/** Whether anybody still reads the answer, and when it is time to stop caring. */
function watchReader(response: ServerResponse, drainMs: number) {
  const patience = new AbortController()
  let timer: NodeJS.Timeout | undefined
  let gone = false
  let staying = false
  let wake = () => {}
  const left = () => {
    gone = true
    wake()
    if (response.writableFinished) return
    if (staying) timer ??= setTimeout(() => patience.abort(), drainMs)
    else patience.abort()
  }
  const go = () => wake()
  response.on('close', left)
  response.on('drain', go)
  if (response.destroyed) left()

  return {
    get gone() {
      return gone
    },
    gaveUp: patience.signal,
    /** From here on the answer is read to its end, or for `drainMs`, whoever leaves: its end says what it costs. */
    stay() {
      staying = true
    },
    /** The reader has taken what was written, or left. */
    drained: () => (gone ? Promise.resolve() : new Promise<void>((resolve) => (wake = resolve))),
    [Symbol.dispose]() {
      clearTimeout(timer)
      response.off('close', left)
      response.off('drain', go)
    }
  }
}
