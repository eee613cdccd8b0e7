import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'
import type { BodyShare } from './body-budget.ts'
import { createJsonScan, type JsonExcess, type JsonLimits } from './json-scan.ts'

export interface BodyRules extends JsonLimits {
  readonly bytesMax: number
  /** For this long a body may be slower than `bytesPerSecondMin`. */
  readonly graceMs: number
  /** The average rate since the body began. */
  readonly bytesPerSecondMin: number
}

export type BodyRefusal =
  | JsonExcess
  | 'too-large'
  | 'too-slow'
  | 'owner-full'
  | 'all-full'
  /** The connection broke before the body was complete. */
  | 'broken'

export type BodyResult =
  | { readonly kind: 'read'; readonly bytes: Buffer }
  | { readonly kind: 'refused'; readonly why: BodyRefusal }

const CHECK_RATE_EVERY_MS = 1000

/**
 * Reads a JSON body within its limits. A declared length is checked, and taken from the share, before the first byte is
 * read; the other limits are checked while bytes arrive, so that a refused body is never held as a whole. The rest of a
 * refused body is not read: see `discardUnreadBody`.
 */
export async function readBody(
  source: Readable,
  headers: IncomingHttpHeaders,
  rules: BodyRules,
  share: BodyShare
): Promise<BodyResult> {
  const declared = Number(headers['content-length'] ?? 0)
  const early = admit(declared, rules, share)
  if (early) return { kind: 'refused', why: early }

  const done = Promise.withResolvers<BodyResult>()
  const refuse = (why: BodyRefusal) => done.resolve({ kind: 'refused', why })
  const scan = createJsonScan(rules)
  const chunks: Buffer[] = []
  let size = 0

  const started = performance.now()
  const watch = setInterval(
    () => {
      const ms = performance.now() - started
      if (ms > rules.graceMs && size < (ms / 1000) * rules.bytesPerSecondMin) refuse('too-slow')
    },
    Math.min(CHECK_RATE_EVERY_MS, rules.graceMs)
  )
  const onData = (chunk: Buffer) => {
    size += chunk.length
    const why = admit(size, rules, share) ?? scan.push(chunk)
    if (why) refuse(why)
    else chunks.push(chunk)
  }
  const onEnd = () => done.resolve({ kind: 'read', bytes: Buffer.concat(chunks, size) })
  const onBroken = () => refuse('broken')

  source.on('data', onData).on('end', onEnd).on('error', onBroken).on('close', onBroken)
  try {
    return await done.promise
  } finally {
    clearInterval(watch)
    source.pause()
    source.off('data', onData).off('end', onEnd).off('close', onBroken)
    // The error listener stays: without one, a connection that breaks later would end the process.
  }
}

function admit(bytes: number, { bytesMax }: BodyRules, share: BodyShare): BodyRefusal | undefined {
  if (bytes > bytesMax) return 'too-large'
  const answer = share.raise(bytes)
  return answer === 'taken' ? undefined : answer
}
