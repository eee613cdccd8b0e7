import * as fc from 'fast-check'
import t from 'tap'
import { cutChars, isVisible, storableJson } from '#kernel/text.ts'
import { check } from '../../helpers/property.ts'

const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.constantFrom('\0', '\ud83d', '\ude00', '\\u0000', '\\ud83d', '\u{1f600}')
)

const isStorable = (text: string) => text.isWellFormed() && !text.includes('\0')

function textsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  if (typeof value !== 'object' || value === null) return []
  return [...Object.keys(value), ...Object.values(value).flatMap(textsIn)]
}

t.test('JSON has no text that cannot be stored, and the others are as they were', (t) => {
  const key = anyText
  const { value: values } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 3 },
      anyText,
      fc.integer(),
      fc.constant(null),
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(key, tie('value'), { maxKeys: 3 })
    )
  }))
  check(
    fc.property(values, (value) => {
      const back: unknown = JSON.parse(storableJson(value))
      const before = textsIn(value)
      if (!textsIn(back).every(isStorable)) return false
      return !before.every(isStorable) || JSON.stringify(back) === JSON.stringify(value)
    })
  )
  t.equal(storableJson({ '\0': ['a\ud83d', '\\u0000'] }), '{"\ufffd":["a\ufffd","\\\\u0000"]}')
  t.end()
})

t.test('tells a text from one that shows nothing', (t) => {
  for (const text of [
    '',
    ' \n',
    '\u200b',
    '\u2060\ufeff\u00ad',
    '\u3164',
    '\ufe0f',
    '\u2800',
    '\u0007'
  ]) {
    t.notOk(isVisible(text), JSON.stringify(text))
  }
  for (const text of ['a', '.', '\u200bx', '\u{1f600}', '\u4e2d', '\u0627', '\ue0b0', '\u0301']) {
    t.ok(isVisible(text), JSON.stringify(text))
  }
  t.end()
})

t.test('cuts a text at a whole character', (t) => {
  t.equal(cutChars('\u{1f600}\u{1f600}\u{1f600}', 2), '\u{1f600}\u{1f600}')
  t.equal(cutChars('abc', 3), 'abc')
  t.end()
})
