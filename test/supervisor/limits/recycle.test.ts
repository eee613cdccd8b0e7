import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { script } from '#fixtures'
import { openStage, play } from '../helpers.ts'

t.test('stops an agent above its soft limit of memory after its turn', async (t) => {
  const { supervisor, project, metrics } = await openStage(t, { limits: { memorySoftBytes: 1 } })
  const { id, agent, borrowed } = await project()
  using second = supervisor.borrow(id, 'the same', new AbortController().signal)
  t.equal((await play(agent, { text: script({ say: 'ok' }) })).answer, 'ok')
  const bytes = await supervisor.memoryBytes()
  t.ok(bytes > 100e6 && bytes < 2e9, `${Math.round(bytes / 1e6)} MB`)

  borrowed[Symbol.dispose]()
  await sleep(50)
  t.ok(supervisor.peek(id), 'another borrower uses it')
  second[Symbol.dispose]()
  t.equal(supervisor.peek(id), undefined)
  await supervisor.stop(id)
  t.ok(metrics.some(({ kind }) => kind === 'recycled'))
  t.notOk(metrics.some(({ kind }) => kind === 'crashed'))
  t.equal(await supervisor.memoryBytes(), 0)
})
