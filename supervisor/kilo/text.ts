import type { AgentEvent } from '#kernel/agent-events.ts'

type TextAppended = Extract<AgentEvent, { type: 'text.appended' }>
type Source = TextAppended['source']

export interface TextSnapshot {
  readonly partId: string
  readonly source: Source
  readonly text: string
  /** The part has ended: this is its text, whatever was said before. */
  readonly final: boolean
  /** Heard in the stream, so that the pieces that follow continue it. */
  readonly live: boolean
}

export interface TextParts {
  append(partId: string, delta: string): TextAppended | undefined
  see(snapshot: TextSnapshot): TextAppended | undefined
  /** Frames may have been lost: what is open is only given again when its end tells the whole text. */
  gapOpened(): void
  /** What there is has been read again: a part that is new from here on is heard from its beginning. */
  gapClosed(): void
  /** One frame was lost: as a gap that is closed at once. */
  pieceLost(): void
}

interface Part {
  readonly source: Source | undefined
  given: string
  /** White space that may turn out to be cut off at the part's end. */
  held: string
  /** Everything said of this part so far has been heard. */
  whole: boolean
  final: boolean
}

/**
 * Gives each piece of a text once: the pieces given of a part, joined, are the part's final text. `onInexact` is
 * called for a final text that does not continue what was given: that cannot be taken back.
 */
export function createTextParts(onInexact: () => void): TextParts {
  const parts = new Map<string, Part>()
  let hasGap = false

  const give = (partId: string, part: Part, text: string): TextAppended | undefined => {
    if (text === '' || part.source === undefined) return undefined
    part.given += text
    return { type: 'text.appended', source: part.source, partId, text }
  }

  const giveUpToWhiteSpace = (partId: string, part: Part, text: string) => {
    const words = text.trimEnd()
    part.held = text.slice(words.length)
    return give(partId, part, words)
  }

  const pieceLost = () => {
    for (const part of parts.values()) if (!part.final) part.whole = false
  }

  return {
    append(partId, delta) {
      const part = parts.get(partId)
      if (!part) {
        parts.set(partId, { source: undefined, given: '', held: '', whole: false, final: false })
        return undefined
      }
      if (!part.whole || part.final) return undefined
      return giveUpToWhiteSpace(partId, part, part.held + delta)
    },

    see({ partId, source, text, final, live }) {
      const before = parts.get(partId)
      const part: Part = before
        ? { ...before, source }
        : { source, given: '', held: '', whole: live && !hasGap, final: false }
      parts.set(partId, part)

      if (final) {
        part.final = true
        part.held = ''
        if (text.startsWith(part.given)) return give(partId, part, text.slice(part.given.length))
        // A repeat of an earlier state says nothing new; anything else contradicts what was given.
        if (!before?.final) onInexact()
        return undefined
      }
      return before || !live ? undefined : giveUpToWhiteSpace(partId, part, text)
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
