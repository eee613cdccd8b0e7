import { script } from '#fixtures'
import t from 'tap'
import { openStage, play, toolsOf } from '../helpers.ts'
import { entries } from './given-proxy.ts'

t.test('a turn reports each host that was refused, once', async (t) => {
  const egress = { allow: entries('registry.example.com'), bytesPerDay: 1e9 }
  const { supervisor, project, metrics } = await openStage(t, { egress })
  if (supervisor.isolation !== 'bubblewrap') return t.plan(0, 'bubblewrap is not possible here')
  const { agent } = await project()
  const command = ['one.example/a', 'one.example/b', 'two.example/a']
    .map((repository) => `git ls-remote https://${repository} 2>&1`)
    .join('; ')
  const prompt = script(
    { tool: 'bash', input: { command, description: 'asks three repositories' } },
    { say: 'done' }
  )
  const expected = ['one.example:443', 'two.example:443'].map((host) => ({
    type: 'notice',
    text: `Network access to ${host} was refused: EGRESS_ALLOW does not list this host and port.`
  }))

  for (const turn of ['the first turn', 'the next turn']) {
    const { events } = await play(agent, { text: prompt })
    t.match(toolsOf(events).at(-1)?.output, /403/)
    t.same(
      events.filter(({ type }) => type === 'notice'),
      expected,
      turn
    )
  }
  const counted = metrics.filter(({ kind }) => kind === 'egress-refused')
  t.equal(counted.length, 6)
})
