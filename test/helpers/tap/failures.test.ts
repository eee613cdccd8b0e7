import t from 'tap'
import { Failures } from './failures.ts'

const TAP = `TAP version 14
# Subtest: test/a.test.ts
    # Subtest: outer
        # Subtest: inner
            ok 1 - fine
            not ok 2 - one is two
              ---
              diff: |
                -2
                +1
              ...
            ok 3 - not a part of it
            1..3
        not ok 1 - inner # time=61.471ms
          ---
          at: somewhere
          ...
        not ok 2 - for later # TODO
        1..2
    not ok 1 - outer # time=117.604ms
    # Subtest: second
        not ok 1 - timeout!
        1..1
    not ok 2 - second # time=30ms
    1..2
not ok 1 - test/a.test.ts # time=200ms
not ok 2 - test/b.test.ts # time=3ms
  ---
  exitCode: 1
  ...
# { total: 6, pass: 2, fail: 3, todo: 1 }`

t.test('reports every failure once, with the path of its tests and its diagnostics', async (t) => {
  const failures = new Failures()
  for (const line of TAP.split('\n')) failures.read(line)
  const texts = failures.texts().map((text) => text.replaceAll(/^ +/gm, ''))
  t.strictSame(texts, [
    'failed: test/a.test.ts > outer > inner > one is two\n---\ndiff: |\n-2\n+1\n...',
    'failed: test/a.test.ts > second > timeout!',
    'failed: test/b.test.ts\n---\nexitCode: 1\n...'
  ])
})
