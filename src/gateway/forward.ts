import { Buffer } from 'node:buffer'
import type { ServerResponse } from 'node:http'
import { request as send, type Dispatcher } from 'undici'
import type { Usage } from '#kernel/agent-events.ts'
import { LIMITS } from '#kernel/limits.ts'
import { createAnswerReader } from './answer-reader.ts'
import { headersForAgent } from './headers.ts'
import type { AnswerCount } from './protocol.ts'

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
}

/**
 * Sends a request to its provider and the answer back as it comes, at the pace of the slower of the two. A connection
 * that breaks on that side breaks on this side too, at the same point, so that Kilo sees what really happened.
 */
export async function forward(it: Forwarding): Promise<Forwarded> {
  const startedAt = it.now()
  let ttfbMs: number | null = null
  const ended = (outcome: Forwarded['outcome'], status: number | null): Forwarded => {
    const durationMs = Math.round(it.now() - startedAt)
    return { outcome, status, ttfbMs, durationMs, told: it.count.told() }
  }

  using reader = watchReader(it.response, it.drainMs)
  // A stream that has not begun has made nothing yet, but a whole answer is made before its first byte.
  if (!it.streams) reader.stay()
  const signal = AbortSignal.any([it.signal, reader.gaveUp])
  const { url, headers, body, dispatcher } = it
  const upstream = await send(url, {
    ...{ method: 'POST', headers, body, dispatcher, signal },
    ...{ headersTimeout: 0, bodyTimeout: it.silenceMs }
  }).catch(() => undefined)
  if (!upstream) {
    it.response.socket?.resetAndDestroy()
    return ended(signal.aborted && !it.streams ? 'estimated' : 'unanswered', null)
  }
  reader.stay()
  const status = upstream.statusCode
  if (status >= 400) {
    ttfbMs = Math.round(it.now() - startedAt)
    await passError(it, upstream).catch(() => it.response.socket?.resetAndDestroy())
    return ended('refused', status)
  }

  const passedBack = headersForAgent(upstream.headers)
  const answer = createAnswerReader(passedBack['content-type'] ?? '', it.count)
  it.response.writeHead(status, passedBack)
  it.response.flushHeaders()
  try {
    for await (const chunk of upstream.body as AsyncIterable<Buffer>) {
      ttfbMs ??= Math.round(it.now() - startedAt)
      if (!reader.gone && !it.response.write(chunk)) await reader.drained()
      answer.feed(chunk)
    }
    answer.end()
    it.response.end()
  } catch {
    answer.end()
    it.response.socket?.resetAndDestroy()
  }
  return ended(it.count.told() ? 'served' : 'estimated', status)
}

async function passError(it: Forwarding, upstream: Dispatcher.ResponseData): Promise<void> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of upstream.body as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > LIMITS.modelErrorBytesMax) break
    chunks.push(chunk)
  }
  it.response.writeHead(upstream.statusCode, headersForAgent(upstream.headers))
  it.response.end(it.scrub(Buffer.concat(chunks).toString()))
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
