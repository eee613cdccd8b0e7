import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { createSilenceWatch } from '../../../supervisor/turn/silence-watch.ts'

const NEVER_MS = 600_000

/** A turn of which each look finds the next of these, and the last of them for ever. */
function given(looks: (boolean | 'no answer')[], { begun = true, silenceMs = NEVER_MS } = {}) {
  const said: string[] = []
  const reconciler = createSilenceWatch({
    async catchUp() {
      const idle = looks.length > 1 ? looks.shift() : looks[0]
      said.push(idle === 'no answer' ? 'nothing' : idle ? 'idle' : 'busy')
      if (idle === 'no answer') throw new Error('timeout')
      return { idle: idle === true }
    },
    silenceMs,
    hasBegun: () => begun,
    onOver: () => said.push('over'),
    onMute: () => said.push('mute')
  })
  const until = async (isThere: () => boolean) => {
    const deadline = Date.now() + 20_000
    while (!isThere()) {
      if (Date.now() > deadline) throw new Error(`waited in vain: ${said.join()}`)
      await sleep(10)
    }
  }
  return { said, reconciler, until }
}

t.test('a turn is over when it is idle twice, a second apart', async (t) => {
  const { said, reconciler, until } = given([true])
  using _ = reconciler
  const since = performance.now()
  await reconciler.reconcile()
  t.same(said, ['idle'])
  await until(() => said.includes('over'))
  // A timer of Node may be up to a millisecond early.
  t.ok(performance.now() - since >= 999)
  t.same(said, ['idle', 'idle', 'over'])
})

t.test('a turn that is busy again before the second look goes on', async (t) => {
  const { said, reconciler, until } = given([true, false])
  using _ = reconciler
  await reconciler.reconcile()
  await until(() => said.includes('busy'))
  await sleep(1500)
  t.same(said, ['idle', 'busy'])
})

t.test('a turn that has not begun is not ended for being idle', async (t) => {
  const { said, reconciler } = given([true], { begun: false })
  using _ = reconciler
  await reconciler.reconcile()
  await sleep(1500)
  t.same(said, ['idle'])
})

t.test('a silent turn is looked at from time to time', async (t) => {
  const { said, reconciler, until } = given([false], { silenceMs: 100 })
  using _ = reconciler
  await until(() => said.filter((word) => word === 'busy').length >= 3)
  t.notOk(said.includes('over'))
})

t.test('a turn that is heard is not looked at', async (t) => {
  const { said, reconciler } = given([false], { silenceMs: 3000 })
  using _ = reconciler
  const since = performance.now()
  let silences = 0
  for (let heardAt = since; heardAt - since < 4500; heardAt = performance.now()) {
    await sleep(50)
    reconciler.heard()
    // A machine that slept for so long may have looked with good reason.
    if (performance.now() - heardAt > 2500) silences += 1
  }
  t.ok(said.length <= silences, `${said.length} looks, ${silences} silences`)
})

t.test('a stream that was opened anew is looked at soon again', async () => {
  const { said, reconciler, until } = given([false])
  using _ = reconciler
  await reconciler.reopen()
  await until(() => {
    // However much there is to hear.
    reconciler.heard()
    return said.filter((word) => word === 'busy').length === 2
  })
})

t.test('a Kilo that does not answer twice is mute', async (t) => {
  const { said, reconciler, until } = given(['no answer'], { silenceMs: 10 })
  using _ = reconciler
  await until(() => said.includes('mute'))
  t.same(said, ['nothing', 'nothing', 'mute'])
})

t.test('a Kilo that answers the second time is not given up', async (t) => {
  const { said, reconciler, until } = given(['no answer', false, 'no answer', false], {
    silenceMs: 10
  })
  using _ = reconciler
  await until(() => said.filter((word) => word === 'busy').length >= 3)
  t.notOk(said.includes('mute'))
})

t.test('after the turn nobody looks any more', async (t) => {
  const { said, reconciler } = given([false], { silenceMs: 10 })
  reconciler[Symbol.dispose]()
  await sleep(300)
  t.same(said, [])
})
