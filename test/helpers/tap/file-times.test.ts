import t from 'tap'
import { FileTimes } from './file-times.ts'

const reportOf = (...lines: string[]) => {
  const times = new FileTimes()
  for (const line of lines) times.read(line)
  return times.report()
}

t.test('reports the ten slowest files and the sum of each folder, longest first', async (t) => {
  const small = Array.from(
    { length: 9 },
    (_, n) => `ok ${n + 10} - test/many/${n}.test.ts # time=1ms`
  )
  const report = reportOf(
    'ok 1 - test/src/http/stream/a.test.ts # time=2000.5ms',
    'ok 2 - test/src/http/b.test.ts # time=1000ms',
    'not ok 3 - test/flows/c.test.ts # time=12345.678ms',
    ...small,
    '    ok 1 - test/inner.test.ts # time=99999ms',
    'ok 4 - not a file # time=99999ms',
    '# time=99999ms'
  )
  t.strictSame(report.slice(0, 4), [
    'slowest files:',
    '     12.3 s  test/flows/c.test.ts',
    '      2.0 s  test/src/http/stream/a.test.ts',
    '      1.0 s  test/src/http/b.test.ts'
  ])
  t.equal(report.indexOf('sum by folder:'), 11)
  t.strictSame(report.slice(12), [
    '     12.3 s  test/flows',
    '      3.0 s  test/src/http',
    '      0.0 s  test/many',
    '     15.4 s  all 12 files'
  ])
})

t.test('reports nothing for a single file', async (t) => {
  t.strictSame(reportOf('ok 1 - test/flows/c.test.ts # time=12345.678ms'), [])
})
