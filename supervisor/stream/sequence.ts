import { isFrame, isSync, type KiloPayload } from '../kilo/schemas.ts'

/** What one message of the stream is, given all that came before it. */
export type SequencedMessage =
  | { readonly kind: 'event'; readonly payload: KiloPayload }
  /** SequencedMessage before, or of no use to anybody but us. */
  | { readonly kind: 'nothing' }
  /** Something was said that nobody heard. */
  | { readonly kind: 'loss'; readonly why: 'garbage' | 'gap' }

/** How far each session of one Kilo has been heard. Every durable change of a session has the next number, `seq`. */
export interface SequenceTracker {
  hear(data: string): SequencedMessage
  /** Undefined: nothing durable of it was ever heard. */
  lastSeq(sessionId: string): number | undefined
  /** It was read up to here by other means. */
  markRead(sessionId: string, seq: number): void
  /** Whatever was missing has been asked for; what nobody asked for is of no interest. */
  closeGaps(): void
}

const REMEMBERED_MAX = 4096
const NOTHING = { kind: 'nothing' } as const

/** Lets each event through once, and proves from what comes that something did not come. */
export function createSequenceTracker(): SequenceTracker {
  const seqs = new Map<string, number>()
  /** Behind a gap: how far each session is said to be. */
  const ahead = new Map<string, number>()
  const recent = new Set<string>()

  const isNew = (id: string | undefined) => {
    if (id === undefined) return true
    if (recent.has(id)) return false
    recent.add(id)
    const [oldest] = recent
    if (recent.size > REMEMBERED_MAX && oldest !== undefined) recent.delete(oldest)
    return true
  }

  const follow = (sessionId: string, seq: number): SequencedMessage => {
    const last = seqs.get(sessionId)
    if (last === undefined || seq <= last + 1) {
      raise(seqs, sessionId, seq)
      return NOTHING
    }
    // The number stays before the gap: from there on the history is read.
    const isKnown = ahead.has(sessionId)
    raise(ahead, sessionId, seq)
    return isKnown ? NOTHING : { kind: 'loss', why: 'gap' }
  }

  return {
    hear(data) {
      const frame = parse(data)
      if (!isFrame(frame)) return { kind: 'loss', why: 'garbage' }
      const { payload } = frame
      if (payload.type !== 'sync') {
        return isNew(payload.id) ? { kind: 'event', payload } : NOTHING
      }
      if (!isSync(payload)) return { kind: 'loss', why: 'garbage' }
      return follow(payload.syncEvent.aggregateID, payload.syncEvent.seq)
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
