import fc from 'fast-check'
import t from 'tap'
import { createJsonScan } from '../../../../src/net/bodies/json-scan.ts'
import { check } from '../../../helpers/property.ts'

const NO_LIMIT = Number.MAX_SAFE_INTEGER

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  return 1 + Math.max(0, ...Object.values(value).map(depthOf))
}

/** Arrays and objects, and one for each separator between elements. */
function valuesOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  const inner = Object.values(value)
  return inner.reduce<number>((sum, one) => sum + valuesOf(one), Math.max(1, inner.length))
}

const scan = (text: string, depthMax: number, valuesMax: number, pieceBytes: number) => {
  const bytes = Buffer.from(text)
  const one = createJsonScan({ depthMax, valuesMax })
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    const found = one.push(bytes.subarray(at, at + pieceBytes))
    if (found) return found
  }
  return undefined
}

t.test('counts any JSON exactly, wherever its bytes are cut', async (t) => {
  const property = fc.asyncProperty(
    fc.json({ depthSize: 'large' }),
    fc.integer({ min: 1, max: 7 }),
    async (text, pieceBytes) => {
      const value: unknown = JSON.parse(text)
      const [depth, values] = [depthOf(value), valuesOf(value)]
      if (scan(text, depth, values, pieceBytes)) throw new Error('refused within the limits')
      if (depth > 0 && scan(text, depth - 1, NO_LIMIT, pieceBytes) !== 'too-deep')
        throw new Error('did not notice the depth')
      if (values > 0 && scan(text, NO_LIMIT, values - 1, pieceBytes) !== 'too-many-values')
        throw new Error('did not notice the values')
    }
  )
  await check(property, { usual: 300, deep: 5000 })
  t.pass()
})

t.test('does not count what is inside of strings', async (t) => {
  for (const text of [`{"${'['.repeat(99)}":"${'{,'.repeat(99)}"}`, `["\\"[[[","\\\\",["a"]]`]) {
    JSON.parse(text)
    t.equal(scan(text, 2, 5, 1), undefined, text.slice(0, 20))
  }
})

t.test('is fast: 32 MB within a second', async (t) => {
  const bytes = Buffer.alloc(32 * 1024 * 1024, '",a{}[]')
  const started = performance.now()
  createJsonScan({ depthMax: NO_LIMIT, valuesMax: NO_LIMIT }).push(bytes)
  const ms = performance.now() - started
  t.ok(ms < 1000, `${Math.round(ms)} ms`)
})
