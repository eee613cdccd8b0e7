import t from 'tap'
import { silentLog } from '#kernel/log.ts'
import { endBusySessions } from '../../../supervisor/turn/busy-sessions.ts'

const ROOT = 'ses_root'

/** A Kilo whose sessions stop at these times after their abort, in milliseconds; and the root by itself. */
function given(busy: Record<string, number>, { rootEndsMs = 0, answers = true } = {}) {
  let nowMs = 0
  const aborts = new Map<string, number>()
  const isBusy = (session: string) => {
    if (session === ROOT && nowMs >= rootEndsMs) return false
    const at = aborts.get(session)
    return at === undefined || nowMs < at + (busy[session] ?? 0)
  }
  const options = {
    log: silentLog,
    waitMs: 5000,
    onAborted: () => {},
    clock: {
      monotonicMs: () => nowMs,
      async sleep(ms: number) {
        nowMs += ms
      }
    },
    client: {
      async statuses() {
        if (!answers) throw new Error('no answer')
        return new Map(
          Object.keys(busy)
            .filter(isBusy)
            .map((name) => [name, {}])
        )
      },
      async abort(session: string) {
        if (!aborts.has(session)) aborts.set(session, nowMs)
        return {} as never
      }
    }
  }
  return { end: () => endBusySessions(options, ROOT), aborts, nowMs: () => nowMs }
}

t.test('aborts what still works after a turn, and waits until it is idle', async (t) => {
  const quiet = given({})
  t.equal(await quiet.end(), true)
  t.equal(quiet.nowMs(), 0, 'a usual turn waits for nothing')

  const closing = given({ [ROOT]: 0 }, { rootEndsMs: 100 })
  t.equal(await closing.end(), true)
  t.equal(closing.aborts.size, 0, 'a root that is about to become idle is left alone')

  const left = given({ [ROOT]: 0, ses_1: 300, ses_2: 1000 }, { rootEndsMs: 50 })
  t.equal(await left.end(), true)
  t.same([...left.aborts.keys()], ['ses_1', 'ses_2'])

  const hanging = given({ [ROOT]: 100 }, { rootEndsMs: Infinity })
  t.equal(await hanging.end(), true)
  t.same([...hanging.aborts.keys()], [ROOT], 'a root that does not become idle is aborted, too')
})

t.test('says so when a session does not stop, or Kilo does not answer', async (t) => {
  const stubborn = given({ ses_1: Infinity })
  t.equal(await stubborn.end(), false)
  t.ok(stubborn.nowMs() <= 5200)
  t.equal(await given({}, { answers: false }).end(), false)
})
