import { isFrame, isSync, type KiloPayload } from '../kilo/schemas.ts'

/** What one message of the stream means, given the messages before it. */
export type SequencedMessage =
  | { readonly kind: 'event'; readonly payload: KiloPayload }
  /** A duplicate, or a sync message: it only moves the cursor of its session. */
  | { readonly kind: 'skip' }
  /** A message was not readable, or one is missing. */
  | { readonly kind: 'loss'; readonly why: 'garbage' | 'gap' }

/** The cursor of each session of one Kilo. Kilo numbers the durable changes of a session without gaps (`seq`). */
export interface SequenceTracker {
  track(data: string): SequencedMessage
  /** Undefined: no durable change of this session was received. */
  lastSeq(sessionId: string): number | undefined
  /** The history of the session has been read up to here. */
  markRead(sessionId: string, seq: number): void
  /** The listeners have read what they need; what no listener reads needs no second report. */
  closeGaps(): void
}

/** Event ids that are kept for deduplication. */
const RECENT_IDS_MAX = 4096
const SKIP = { kind: 'skip' } as const

/** Lets each event through once, and detects lost messages by the numbers of the sync messages. */
export function createSequenceTracker(): SequenceTracker {
  const seqs = new Map<string, number>()
  /** Beyond an open gap: the highest number that was received of each session. */
  const ahead = new Map<string, number>()
  const recent = new Set<string>()

  const isNew = (id: string | undefined) => {
    if (id === undefined) return true
    if (recent.has(id)) return false
    recent.add(id)
    const [oldest] = recent
    if (recent.size > RECENT_IDS_MAX && oldest !== undefined) recent.delete(oldest)
    return true
  }

  const advance = (sessionId: string, seq: number): SequencedMessage => {
    const last = seqs.get(sessionId)
    if (last === undefined || seq <= last + 1) {
      raise(seqs, sessionId, seq)
      return SKIP
    }
    // The cursor stays before the gap: the history is read from there.
    const isKnown = ahead.has(sessionId)
    raise(ahead, sessionId, seq)
    return isKnown ? SKIP : { kind: 'loss', why: 'gap' }
  }

  return {
    track(data) {
      const frame = parse(data)
      if (!isFrame(frame)) return { kind: 'loss', why: 'garbage' }
      const { payload } = frame
      if (payload.type !== 'sync') return isNew(payload.id) ? { kind: 'event', payload } : SKIP
      if (!isSync(payload)) return { kind: 'loss', why: 'garbage' }
      return advance(payload.syncEvent.aggregateID, payload.syncEvent.seq)
    },
    lastSeq: (sessionId) => seqs.get(sessionId),
    markRead: (sessionId, seq) => raise(seqs, sessionId, seq),
    closeGaps() {
      for (const [sessionId, seq] of ahead) raise(seqs, sessionId, seq)
      ahead.clear()
    }
  }
}

const raise = (seqs: Map<string, number>, sessionId: string, seq: number) =>
  seqs.set(sessionId, Math.max(seqs.get(sessionId) ?? seq, seq))

function parse(data: string): unknown {
  try {
    return JSON.parse(data)
  } catch {
    return undefined
  }
}
