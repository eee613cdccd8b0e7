import t from 'tap'
import { readSse } from '../../../supervisor/stream/read-sse.ts'

const MESSAGES = [
  '{"payload":{"type":"server.connected","properties":{}}}',
  '{"delta":"Zwölf Boxkämpfer \u{1f44b} \\n"}',
  'x'.repeat(9000),
  'two\nlines'
]
const WIRE = MESSAGES.map((m) => `data: ${m.replaceAll('\n', '\ndata: ')}\n\n`).join(
  ': a comment\n'
)

async function* cut(bytes: Uint8Array, size: number) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

for (const size of [1, 7, 4096, 1_000_000]) {
  t.test(`reads whole messages from chunks of ${size} bytes`, async (t) => {
    const seen: string[] = []
    for await (const data of readSse(cut(new TextEncoder().encode(WIRE), size))) seen.push(data)
    t.same(seen, MESSAGES)
  })
}

t.test('drops an incomplete message at the end', async (t) => {
  const seen: string[] = []
  const bytes = new TextEncoder().encode('data: one\n\ndata: two\n')
  for await (const data of readSse(cut(bytes, 3))) seen.push(data)
  t.same(seen, ['one'])
})
