import type { AgentEvent } from '#kernel/agent-events.ts'

type TextAppended = Extract<AgentEvent, { type: 'text.appended' }>
type Source = TextAppended['source']

export interface TextSnapshot {
  readonly partId: string
  readonly source: Source
  readonly text: string
  /** The part has ended, and this is its whole text. */
  readonly final: boolean
  /** From the stream, so that the pieces that follow continue it. */
  readonly live: boolean
}

export interface TextParts {
  append(partId: string, delta: string): TextAppended | undefined
  see(snapshot: TextSnapshot): TextAppended | undefined
  /** Frames may be missing: an open part emits nothing more until its final text arrives. */
  gapOpened(): void
  /** The missed events have been read: a part that is new from here on is received from its beginning. */
  gapClosed(): void
  /** One frame was lost: a gap that is closed immediately. */
  pieceLost(): void
}

/** Providers cut the pieces of a text anywhere. */
const HALF_CHARACTER = /[\ud800-\udbff]$/

interface Part {
  readonly source: Source | undefined
  emitted: string
  /** Trailing white space, which Kilo trims from the final text, and the first half of a character that is not whole. */
  held: string
  /** Every piece of this part so far was received. */
  whole: boolean
  final: boolean
}

/**
 * Emits each piece of a text once: the emitted pieces of a part, joined, are the part's final text. `onInexact` is
 * called for a final text that does not continue the emitted one: an emitted piece cannot be taken back.
 */
export function createTextParts(onInexact: () => void): TextParts {
  const parts = new Map<string, Part>()
  let hasGap = false

  const emit = (partId: string, part: Part, text: string): TextAppended | undefined => {
    if (text === '' || part.source === undefined) return undefined
    part.emitted += text
    return { type: 'text.appended', source: part.source, partId, text }
  }

  const emitUpToWhiteSpace = (partId: string, part: Part, text: string) => {
    const words = text.replace(HALF_CHARACTER, '').trimEnd()
    part.held = text.slice(words.length)
    return emit(partId, part, words)
  }

  const pieceLost = () => {
    for (const part of parts.values()) if (!part.final) part.whole = false
  }

  return {
    append(partId, delta) {
      const part = parts.get(partId)
      if (!part) {
        parts.set(partId, { source: undefined, emitted: '', held: '', whole: false, final: false })
        return undefined
      }
      if (!part.whole || part.final) return undefined
      return emitUpToWhiteSpace(partId, part, part.held + delta)
    },

    see({ partId, source, text, final, live }) {
      const before = parts.get(partId)
      const part: Part = before
        ? { ...before, source }
        : { source, emitted: '', held: '', whole: live && !hasGap, final: false }
      parts.set(partId, part)

      if (final) {
        part.final = true
        part.held = ''
        if (text.startsWith(part.emitted))
          return emit(partId, part, text.slice(part.emitted.length))
        // A repeat of an earlier state is no news; anything else contradicts the emitted text.
        if (!before?.final) onInexact()
        return undefined
      }
      return before || !live ? undefined : emitUpToWhiteSpace(partId, part, text)
    },

    gapOpened() {
      hasGap = true
      pieceLost()
    },
    pieceLost,
    gapClosed() {
      hasGap = false
    }
  }
}
