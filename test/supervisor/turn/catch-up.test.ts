import t, { type Test } from 'tap'
import type { AgentEvent } from '#kernel/agent-events.ts'
import { replay, startReplay } from '#fixtures'
import { catchUp } from '../../../supervisor/turn/catch-up.ts'
import { createSequenceTracker } from '../../../supervisor/stream/sequence.ts'
import { createClient } from '../../../supervisor/kilo/client.ts'
import { createTurnTranslator } from '../../../supervisor/kilo/translator.ts'
import { createRelativePath } from '../../../supervisor/kilo/paths.ts'
import { createRedact } from '../../../supervisor/redact.ts'
import { until } from '../../helpers/patience.ts'

/** A Kilo without an event stream, and a reader that catches up with a turn afterwards. */
async function givenMissedStream(t: Test) {
  const directory = t.testdir()
  const kilo = await startReplay({ directory, password: 'password' })
  t.teardown(() => kilo[Symbol.asyncDispose]())
  const client = createClient(kilo.url, 'password', 10_000)
  const rootSessionId = await client.createSession('a test')

  return {
    directory,
    rootSessionId,
    async prompt(text: string) {
      const turn = { mode: 'code', providerId: 'p', modelId: 'm', activeFile: undefined }
      await client.prompt({ ...turn, sessionId: rootSessionId, text })
      await new Promise((resolve) => setTimeout(resolve, 20))
      await until('the end of the turn', async () => !(await client.statuses()).has(rootSessionId))
    },
    reader(promptedAtMs = 0) {
      const events: AgentEvent[] = []
      const translator = createTurnTranslator({
        rootSessionId,
        relative: createRelativePath([directory]),
        redact: createRedact([]),
        now: () => new Date(),
        onInexact: () => t.fail('a text is not exact'),
        onNetworkAsked: () => {}
      })
      const sequence = createSequenceTracker()
      const emit = (event: AgentEvent) => void events.push(event)
      const facts = { client, sequence, translator, rootSessionId, promptedAtMs, emit }
      return { events, read: () => catchUp(facts) }
    }
  }
}

const count = (events: readonly AgentEvent[], type: string) =>
  events.filter((event) => event.type === type).length

t.test('reads again what could not be read completely, and loses nothing', async (t) => {
  for (const route of ['permission', 'question', 'network', 'session/*/todo', 'sync/history']) {
    await t.test(route, async (t) => {
      const missed = await givenMissedStream(t)
      const method = route === 'sync/history' ? 'POST' : 'GET'
      const refuse = {
        kind: 'refuse',
        route: `${method} /${route}`,
        status: 503,
        times: 1
      } as const
      await missed.prompt(replay('write-new-file', { faults: [refuse] }))

      const { events, read } = missed.reader()
      await t.rejects(read())
      t.same(await read(), { idle: true })
      t.equal(count(events, 'turn.opened'), 1)
      t.ok(count(events, 'usage.reported') > 0)
      t.ok(count(events, 'text.appended') > 0)
      const before = events.length
      await read()
      t.equal(events.length, before, 'and it is emitted once')
    })
  }
})

t.test('emits only this turn of a conversation, with its sub-agents', async (t) => {
  const missed = await givenMissedStream(t)
  await missed.prompt(replay('subagent'))
  const first = missed.reader()
  await first.read()
  const children = first.events.flatMap((event) =>
    event.type === 'usage.reported' && event.agentSessionId !== missed.rootSessionId ? [event] : []
  )
  t.ok(children.length > 0, 'the sub-agent of the first turn has used something')

  await new Promise((resolve) => setTimeout(resolve, 5))
  const promptedAtMs = Date.now()
  await missed.prompt(replay('text'))
  const second = missed.reader(promptedAtMs)
  await second.read()
  t.equal(count(second.events, 'usage.reported'), 1)
  t.equal(count(second.events, 'tool.updated'), 0)
})
