import { unlessAborted, within } from '#kernel/waiting.ts'
import t from 'tap'

const never = new Promise<string>(() => {})

t.test('a promise is waited for so long, and no longer', async (t) => {
  t.equal(await within(Promise.resolve('here'), 60_000), 'here')
  t.equal(await within(never, 5), undefined)
  t.equal(await within(undefined, 60_000), undefined)
  await t.rejects(within(Promise.reject(new Error('broken')), 60_000), /broken/)
})

t.test('work is waited for until its signal aborts', async (t) => {
  const left = new AbortController()
  t.equal(await unlessAborted(Promise.resolve('here'), left.signal), 'here')

  const waiting = unlessAborted(never, left.signal)
  left.abort(new Error('left'))
  await t.rejects(waiting, /left/)
  await t.rejects(unlessAborted(never, left.signal), /left/, 'also when it had aborted before')
})
