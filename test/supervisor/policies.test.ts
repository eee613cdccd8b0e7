import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { follow, isTerminal } from '#kernel/transitions.ts'
import t from 'tap'
import { cutJson, cutText } from '../../supervisor/kilo/truncate.ts'
import { chooseToStop, decideIdle } from '../../supervisor/pool/idle-policy.ts'
import { decideRestart } from '../../supervisor/pool/restart-policy.ts'
import { editRule, kiloConfig, modesOf } from '../../supervisor/agent/kilo-config.ts'
import { decideNetwork } from '../../supervisor/turn/network-wait.ts'
import { PROCESS_STATES } from '../../supervisor/agent/kilo-process.ts'
import { createRedact } from '../../supervisor/redact.ts'
import { TURN_STATES } from '../../supervisor/turn/ending.ts'

const nowMs = 3_600_000
const ago = (ms: number) => nowMs - ms

t.test('stops an agent that has been idle for long', async (t) => {
  for (const [title, lastUsedMs, busy, expected] of [
    ['used a moment ago', ago(1_000), false, 'keep'],
    ['idle for a minute', ago(60_000), false, 'stop'],
    ['idle for long, but borrowed', ago(600_000), true, 'keep']
  ] as const) {
    t.equal(decideIdle({ nowMs, lastUsedMs, busy }, 60_000), expected, title)
  }
})

t.test('stops the agent that has been idle longest for another project', async (t) => {
  const agent = (name: string, ms: number, busy = false) => ({
    name,
    nowMs,
    lastUsedMs: ago(ms),
    busy
  })
  t.equal(chooseToStop([agent('a', 5), agent('b', 9), agent('c', 7)])?.name, 'b')
  t.equal(chooseToStop([agent('a', 5), agent('b', 9, true)])?.name, 'a')
  t.equal(chooseToStop([agent('a', 5, true)]), undefined)
  t.equal(chooseToStop([]), undefined)
})

t.test('uses the present agent of a project, or starts a new process', async (t) => {
  for (const [present, expected] of [
    ['none', 'start'],
    ['starting', 'use'],
    ['ready', 'use'],
    ['draining', 'start'],
    ['exited', 'start']
  ] as const) {
    t.equal(decideRestart(present), expected, present)
  }
})

t.test('a process starts once and exits once', async (t) => {
  t.ok(isTerminal(PROCESS_STATES, 'exited'))
  t.equal(follow(PROCESS_STATES, 'ready', 'draining'), 'draining')
  t.throws(() => follow(PROCESS_STATES, 'exited', 'starting'))
  t.throws(() => follow(PROCESS_STATES, 'draining', 'ready'))
})

t.test('a turn ends once, and does not stall while it is being cancelled', async (t) => {
  t.ok(isTerminal(TURN_STATES, 'over'))
  t.equal(follow(TURN_STATES, 'killing', 'cancelling'), 'cancelling')
  t.throws(() => follow(TURN_STATES, 'cancelling', 'killing'))
})

t.test('retries a lost provider a few times while it is reachable', async (t) => {
  t.equal(decideNetwork(0, true), 'retry')
  t.equal(decideNetwork(2, true), 'retry')
  t.equal(decideNetwork(3, true), 'reject')
  t.equal(decideNetwork(0, false), 'reject')
})

t.test('lists the modes that a user can choose', async (t) => {
  const agents = [
    { name: 'ask', mode: 'primary' },
    { name: 'code', mode: 'primary' },
    { name: 'title', mode: 'primary', hidden: true },
    { name: 'general', mode: 'subagent' },
    { name: 'poet', mode: 'all' }
  ]
  t.same(modesOf(agents), ['code', 'ask', 'poet'])
})

t.test('truncates texts between characters', async (t) => {
  t.equal(cutText('short', 5), 'short')
  t.equal(cutText('äöü', 5), 'äö')
  t.equal(cutText('a\u{1f44b}', 4), 'a')
  t.same(cutJson({ a: 1 }, 100), { a: 1 })
  const cut = cutJson({ path: 'a.ts', content: 'x'.repeat(1000) }, 400) as Record<string, string>
  t.equal(cut['path'], 'a.ts')
  t.ok(JSON.stringify(cut).length <= 400)
  t.ok(JSON.stringify(cutJson(Array(5000).fill('xyz'), 400)).length <= 400)
})

t.test('redacts secrets', async (t) => {
  const redact = createRedact(['hunter22', undefined])
  t.equal(redact('it is hunter22!'), 'it is [redacted]!')
  t.equal(redact(`Basic ${btoa('hunter22')}`), 'Basic [redacted]')
  t.equal(redact('bad key sk-ant-api03-abcdef, sorry'), 'bad key [redacted], sorry')
  t.equal(redact('a risk-free keyboard'), 'a risk-free keyboard')
})

t.test('confines edits where Kilo would take a larger repository for the project', async (t) => {
  const folder = t.testdir({ outer: { data: { worktree: {} } } })
  const worktree = join(folder, 'outer/data/worktree')
  await mkdir(join(folder, 'outer/.git'))
  t.same(editRule(worktree), { '*': 'deny', 'data/worktree/*': 'allow' })
  await mkdir(join(worktree, '.git'))
  t.equal(editRule(worktree), 'allow')
})

t.test('configures our providers and no others', async (t) => {
  const models = [{ id: 'm', contextTokens: 10, outputTokens: 5 }]
  const facts = {
    providers: [
      { id: 'anthropic' as const, baseUrl: 'https://gateway.test/', apiKey: 'k', models }
    ],
    defaultModel: 'anthropic/m',
    timeouts: { headerMs: 1, chunkMs: 2 },
    worktree: '/work'
  }
  t.match(kiloConfig({ ...facts, isolated: true }), {
    snapshot: false,
    enabled_providers: ['anthropic'],
    small_model: 'anthropic/m',
    permission: {
      bash: 'allow',
      edit: 'allow',
      external_directory: { '*': 'deny', '/tmp/*': 'allow' },
      webfetch: 'deny'
    },
    provider: {
      anthropic: {
        options: { baseURL: 'https://gateway.test/v1', headerTimeout: 1, chunkTimeout: 2 }
      }
    }
  })
  t.match(kiloConfig({ ...facts, isolated: false }), {
    permission: { bash: 'ask', external_directory: 'deny' }
  })
})
