import { spawn } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { script } from '#fixtures'
import { projectId } from '#kernel/ids.ts'
import t from 'tap'
import { never, openStage, play, processesWith, untilGone } from './helpers.ts'

const HOUR_MS = 3_600_000

t.test('what cannot work is one clear sentence at the start', async (t) => {
  await t.rejects(openStage(t, { kiloBin: '/nowhere/kilo' }), {
    message: 'There is no Kilo at /nowhere/kilo: set KILO_BIN'
  })
  const folder = await mkdtemp(join(tmpdir(), 'kilowatt-supervisor-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const file = join(folder, 'kilo')
  await writeFile(file, 'not a program')
  await t.rejects(openStage(t, { kiloBin: file }), { message: /may not be executed/ })

  await writeFile(file, '#!/bin/sh\n')
  await chmod(file, 0o755)
  // Bubblewrap may be installed on this machine; it is not in this folder.
  await t.rejects(
    openStage(t, { kiloBin: file, isolation: 'bubblewrap', bubblewrapFolders: [folder] }),
    /cannot be isolated with bubblewrap here/
  )
})

t.test('a program that never listens is given up, and nothing is left', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'kilowatt-supervisor-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const kiloBin = join(folder, 'kilo')
  const open = async (body: string) => {
    await writeFile(kiloBin, `#!/bin/sh\n${body}\n`)
    await chmod(kiloBin, 0o755)
    return openStage(t, { kiloBin, isolation: 'process', times: { startMs: 2000 } })
  }

  const silent = await open('echo "still thinking" >&2; sleep 600 & sleep 600')
  await t.rejects(silent.project(), {
    code: 'agent_unavailable',
    message: 'Kilo did not listen within 2 s. Its last words: still thinking'
  })
  t.same(await processesWith(silent.folder), [])
  t.same(silent.supervisor.running(), [])
  t.same(silent.metrics, [{ kind: 'start-failed' }])

  const early = await open('echo "no such database" >&2; exit 3')
  await t.rejects(early.project(), {
    code: 'agent_unavailable',
    message: 'Kilo exited with code 3 before it listened. Its last words: no such database'
  })

  const liar = await open('echo "kilo server listening on http://127.0.0.1:1"; sleep 600')
  await t.rejects(liar.project(), { code: 'agent_unavailable' })
  t.same(await processesWith(liar.folder), [])
})

t.test(
  'one process a project, as many as there is room for, and none that is not needed',
  async (t) => {
    let hours = 0
    const clock = {
      now: () => new Date(Date.now() + hours * HOUR_MS),
      monotonicMs: () => performance.now(),
      sleep: () => Promise.resolve()
    }
    const idleStopMs = HOUR_MS / 2
    const { supervisor, project, metrics, folder } = await openStage(t, {
      agentsMax: 1,
      clock,
      idleStopMs
    })
    const started = () => metrics.filter(({ kind }) => kind === 'started').length

    const first = projectId.create()
    const worktree = join(folder, 'first')
    await mkdir(worktree)
    const borrow = (signal = never()) => supervisor.borrow(first, worktree, signal)
    const borrowed = [borrow(), borrow()]
    const [one, two] = await Promise.all(borrowed.map(({ agent }) => agent))
    t.equal(one, two, 'two calls, one process')
    borrowed.push(borrow())
    t.equal(await borrowed.at(-1)?.agent, one, 'and it is found warm')
    t.equal(started(), 1)
    t.throws(() => borrow(AbortSignal.abort(new Error('left'))), /left/)

    const [last, ...others] = borrowed
    others.forEach((other) => other[Symbol.dispose]())
    hours += 1
    await sleep(200)
    await t.rejects(
      project('second'),
      { code: 'agent_unavailable', message: 'All 1 agents of this server are busy.' },
      'however long somebody prepares a prompt for it'
    )
    t.equal(supervisor.peek(first), one)
    last?.[Symbol.dispose]()
    last?.[Symbol.dispose]()
    const second = await project('second')
    t.equal(supervisor.peek(first), undefined, 'the idle one made room')
    t.same(
      supervisor.running().map(({ projectId }) => projectId),
      [second.id]
    )

    await play(second.agent, { text: script({ say: 'a' }) })
    second.borrowed[Symbol.dispose]()
    hours += 1
    // The supervisor looks for quiet agents by itself; this one is an hour old now.
    await untilGone(folder)
    t.same(supervisor.running(), [])
  }
)

t.test('of two that come for the last room at once, one gets it', async (t) => {
  const { project, metrics } = await openStage(t, { agentsMax: 1 })
  const answers = await Promise.allSettled([project('first'), project('second')])
  t.same(
    answers.map(({ status }) => status),
    ['fulfilled', 'rejected']
  )
  t.match(answers[1], { reason: { message: 'All 1 agents of this server are busy.' } })
  t.same(
    metrics.map(({ kind }) => kind),
    ['start-failed', 'started']
  )
})

t.test('a stream that falls silent is renewed, and nothing of the turn is lost', async (t) => {
  const { project, metrics } = await openStage(t, { times: { streamSilenceMs: 1500 } })
  const { agent } = await project()
  const text = 'word '.repeat(30).trim()
  // Kilo says nothing while its model does, for longer than we have patience.
  const { said, outcome, events } = await play(agent, {
    text: script({ say: text, chunks: 3, chunkMs: 2600 }, { say: 'never reached' })
  })
  t.equal(said, text)
  t.same(outcome, { kind: 'completed' })
  t.equal(events.filter(({ type }) => type === 'usage.reported').length, 1)
  t.ok(metrics.some(({ kind }) => kind === 'reconnected'))
  t.notOk(metrics.some(({ kind }) => kind === 'text-not-exact'))
})

t.test('a Kilo that stops answering is killed, and the job learns it', async (t) => {
  const { project, metrics, supervisor, folder } = await openStage(t, {
    isolation: 'process',
    times: { streamSilenceMs: 3000, healthMs: 2000, cancelGraceMs: 500 }
  })
  const { agent, pid, id, worktree } = await project()
  const slow = script({ say: 'word '.repeat(100), chunks: 100, chunkMs: 50 })
  await t.rejects(
    play(agent, { text: slow }, (event) => {
      if (event.type === 'text.appended') process.kill(pid, 'SIGSTOP')
    }),
    { code: 'agent_stalled', message: 'Kilo does not answer any more.' }
  )
  t.same(await processesWith(folder), [])
  t.ok(metrics.some(({ kind }) => kind === 'stalled'))

  await t.test('and a cancelled turn does not wait for one that does not stop', async (t) => {
    const next = await supervisor.borrow(id, worktree, never()).agent
    const cancel = new AbortController()
    const [running] = supervisor.running()
    const { outcome } = await play(
      next,
      { text: slow },
      (event) => {
        if (event.type !== 'text.appended' || cancel.signal.aborted) return
        process.kill(running?.pid as number, 'SIGSTOP')
        cancel.abort()
      },
      cancel.signal
    )
    t.same(outcome, { kind: 'interrupted' })
    t.same(await processesWith(folder), [])
  })
})

t.test('what a server that died has left behind ends when the next one starts', async (t) => {
  const stage = await openStage(t)
  const agentsDir = join(stage.folder, 'agents')
  const id = projectId.create()
  await mkdir(join(agentsDir, id), { recursive: true })
  const env = { KILOWATT_AGENT: 'a-marker-of-long-ago', PATH: process.env['PATH'] ?? '' }
  const orphan = spawn('sleep', ['600'], { env, detached: true, stdio: 'ignore' })
  const note = { marker: env.KILOWATT_AGENT, owner: { pid: 1, ticks: 'of another life' } }
  await writeFile(join(agentsDir, id, 'process.json'), JSON.stringify(note))

  const gone = new Promise((resolve) => orphan.once('exit', (_code, signal) => resolve(signal)))
  await openStage(t, { agentsDir })
  t.equal(await gone, 'SIGKILL')
  await t.rejects(readFile(join(agentsDir, id, 'process.json')), 'and its note is gone')
})
