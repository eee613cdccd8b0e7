import { once } from 'node:events'
import { Readable } from 'node:stream'
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'
import { silentLog } from '#kernel/log.ts'
import t, { type Test } from 'tap'
import { createProcessLog } from '../../../supervisor/process/log.ts'
import { OUTPUT_LIMITS } from '../../../supervisor/process/output-reader.ts'
import { createRedact } from '../../../supervisor/redact.ts'

const { linesMax, bytesMax, discardedBytesMax, lineCharsMax } = OUTPUT_LIMITS
const MIB = 1024 * 1024

/** A process that writes these chunks to its standard output, one after another. */
function given(t: Test, chunks: Iterable<string | Buffer>) {
  const lines: string[] = []
  const warnings: object[] = []
  const log = { ...silentLog, warn: (facts: object) => void warnings.push(facts) }
  const stdout = Readable.from(
    (async function* () {
      for (const chunk of chunks) {
        // As with a real pipe, timers run between two chunks.
        await turn()
        yield Buffer.from(chunk)
      }
    })(),
    { objectMode: false }
  )
  t.teardown(() => stdout.destroy())
  const output = createProcessLog(log, createRedact(['hunter22']))
  output.drain(stdout, 'stdout', (line) => lines.push(line))
  return { stdout, output, lines, warnings }
}

t.test('reads lines wherever the chunks split them, and redacts what it keeps', async (t) => {
  const bytes = Buffer.from('ein Dübel\nhunter22\nlast')
  const { stdout, output, lines } = given(
    t,
    [...bytes].map((byte) => Buffer.from([byte]))
  )
  await once(stdout, 'end')
  t.same(lines, ['ein Dübel', 'hunter22', 'last'])
  t.equal(output.tail(), 'ein Dübel\n[redacted]\nlast\n')
  t.equal(output.lastLine(), 'last')
  t.equal(output.bytes(), bytes.length)
})

t.test('cuts long lines, and keeps the end of everything only', async (t) => {
  const { stdout, output, lines } = given(t, [`${'a'.repeat(3 * lineCharsMax)}\nb\n`])
  await once(stdout, 'end')
  t.same(
    lines.map(({ length }) => length),
    [lineCharsMax, 1]
  )
  t.equal(output.lastLine(), 'b')
})

t.test('reads a bounded number of lines in a second, and always the last ones', async (t) => {
  const flood = Array.from({ length: 64 }, () => 'y\n'.repeat(32_000))
  const { stdout, output, lines, warnings } = given(t, [...flood, 'panic: no memory\n'])
  const since = performance.now()
  await once(stdout, 'end')
  t.equal(output.lastLine(), 'panic: no memory')
  const seconds = Math.ceil((performance.now() - since) / 1000)
  t.ok(lines.length <= (seconds + 1) * 2 * linesMax, `${lines.length} lines`)
  t.same(warnings, [{ source: 'stdout' }], 'reported once')
})

t.test('reads on after a flood', async (t) => {
  const { stdout, lines } = given(t, [])
  const more = new Readable({ read() {} })
  t.teardown(() => more.destroy())
  stdout.destroy()
  const output = createProcessLog(silentLog, createRedact([]))
  output.drain(more, 'stderr', (line) => lines.push(line))
  more.push('x'.repeat(2 * bytesMax))
  more.push('\nnot shown any more\n'.repeat(linesMax))
  await sleep(OUTPUT_LIMITS.windowMs + 200)
  more.push('calm\n')
  await sleep(50)
  t.equal(lines.at(-1), 'calm')
  t.ok(lines.length < linesMax)
})

t.test('pauses a stream that is far beyond its limit', async (t) => {
  let sent = 0
  const chunk = Buffer.alloc(MIB, 'z')
  const endless = (function* () {
    for (;;) {
      sent += 1
      yield chunk
    }
  })()
  const { stdout, output } = given(t, endless)
  const since = performance.now()
  await sleep(2500)
  stdout.destroy()
  const seconds = Math.ceil((performance.now() - since) / 1000)
  t.ok(output.bytes() > discardedBytesMax, 'it is read again in the next second')
  t.ok(sent * MIB <= (seconds + 1) * (discardedBytesMax + 2 * MIB), `${sent} MiB`)
  t.ok(output.tail().length <= 64 * 1024)
})
