import t from 'tap'
import { silentLog as log } from '#kernel/log.ts'
import { isDiskFull, watchDiskSpace } from '#kernel/machine/disk-space.ts'

t.test('tells whether less than the reserve is free, and waits for room', async (t) => {
  const folders = [t.testdir({})]
  using full = watchDiskSpace({ folders, log, reserveBytes: Number.MAX_SAFE_INTEGER, everyMs: 10 })
  using roomy = watchDiskSpace({ folders, log, reserveBytes: 1, everyMs: 10 })
  t.equal(await full.isFull(), true)
  t.equal(await roomy.isFull(), false)

  let calls = 0
  full.onFull(() => (calls += 1))
  const forget = full.onFull(() => t.fail('forgotten'))
  forget()
  while (calls === 0) await new Promise((resolve) => setTimeout(resolve, 20))
  await roomy.room(new AbortController().signal)
  await t.rejects(full.room(AbortSignal.timeout(50)))
  t.equal(calls, 1, 'once')
  using missing = watchDiskSpace({ folders: ['/nowhere/at/all'], log })
  t.equal(await missing.isFull(), false)
})

t.test('knows a full disk by its errors', (t) => {
  const coded = (code: string) => Object.assign(new Error('x'), { code })
  for (const code of ['ENOSPC', 'EDQUOT', '53100']) t.ok(isDiskFull(coded(code)))
  t.ok(isDiskFull(new Error('fatal: write error: No space left on device')))
  t.ok(isDiskFull(new Error('x', { cause: coded('ENOSPC') })))
  for (const error of [coded('ENOENT'), new Error('x'), undefined, 'ENOSPC'])
    t.notOk(isDiskFull(error))
  t.end()
})
