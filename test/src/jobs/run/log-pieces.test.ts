import fc from 'fast-check'
import t from 'tap'
import { logPieces } from '../../../../src/jobs/run/frame-writer.ts'
import { check } from '../../../helpers/property.ts'

t.test('pieces of a text are the text, small enough, and cut between characters', async () => {
  const unit = fc.constantFrom('binary', 'grapheme')
  check(
    fc.property(
      unit.chain((unit) => fc.string({ unit, maxLength: 60 })),
      fc.integer({ min: 2, max: 20 }),
      (text, charsMax) => {
        const pieces = logPieces(text, charsMax)
        const isWhole = (piece: string) => !text.isWellFormed() || piece.isWellFormed()
        return (
          pieces.join('') === text &&
          pieces.every((piece) => piece.length <= charsMax && isWhole(piece))
        )
      }
    )
  )
})

t.test('a text of ten million characters is many frames', async (t) => {
  const pieces = logPieces('\u{1f44b}'.repeat(5_000_000))
  t.ok(pieces.length > 100)
  t.equal(pieces.join('').length, 10_000_000)
})
