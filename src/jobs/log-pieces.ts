import { LIMITS } from '#kernel/limits.ts'

/** A text in pieces that each fit into a frame; none ends within a character. */
export function logPieces(text: string, charsMax: number = LIMITS.logFrameCharsMax): string[] {
  if (text.length <= charsMax) return [text]
  const pieces: string[] = []
  for (let from = 0; from < text.length;) {
    const end = Math.min(from + charsMax, text.length)
    const isWithinPair = end < text.length && /[\uD800-\uDBFF]/.test(text[end - 1] ?? '')
    const to = isWithinPair && end - 1 > from ? end - 1 : end
    pieces.push(text.slice(from, to))
    from = to
  }
  return pieces
}
