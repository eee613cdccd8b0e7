import t, { type Test } from 'tap'
import { decideStart } from '../../supervisor/agent/start/patience-policy.ts'
import { processesWith } from './helpers.ts'
import { kiloThat, stageWith } from './programs.ts'

t.test('decides whether a start is awaited', async (t) => {
  const bounds = { startMs: 60_000, startMaxMs: 180_000 }
  const silent = {
    waitedMs: 60_000,
    sinceCheckMs: 5000,
    cpuMs: 0,
    wroteOutput: false,
    answersHealth: false
  }
  for (const [title, facts, expected] of [
    ['silent within its bound', { ...silent, waitedMs: 59_999 }, 'wait'],
    ['silent', silent, 'fail'],
    ['an event loop that waits', { ...silent, cpuMs: 40 }, 'fail'],
    ['computing on a busy machine', { ...silent, cpuMs: 60 }, 'wait'],
    ['writing output', { ...silent, wroteOutput: true }, 'wait'],
    ['answering health requests', { ...silent, answersHealth: true }, 'wait'],
    ['computing for too long', { ...silent, cpuMs: 5000, waitedMs: 180_000 }, 'fail']
  ] as const) {
    t.equal(decideStart(facts, bounds), expected, title)
  }
})

/** Computes for this long, and then starts as Kilo does. */
const computing = (ms: number) =>
  kiloThat(`const until = Date.now() + ${ms}\nwhile (Date.now() < until);`)

const given = (t: Test, program: string, startMaxMs: number) =>
  stageWith(t, program, { startMs: 1000, startMaxMs })

t.test('starts a Kilo that is slow and makes progress', async (t) => {
  const { project, metrics } = await given(t, computing(3000), 120_000)
  await t.resolves(project())
  t.match(metrics, [{ kind: 'started' }])
})

t.test('fails a Kilo that makes progress and never starts', async (t) => {
  const { project, folder } = await given(t, computing(600_000), 3000)
  await t.rejects(project(), {
    reason: 'unavailable',
    message: 'Kilo did not listen within 3 s.'
  })
  t.same(await processesWith(folder), [])
})
