import { spawn } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { REPLAY_KILO, replay, script } from '#fixtures'
import { systemClock } from '#kernel/clock.ts'
import { projectId } from '#kernel/ids.ts'
import t from 'tap'
import { never, openStage, play, processesWith, untilGone } from './helpers.ts'

const HOUR_MS = 3_600_000

/** Which process is started, and when, does not depend on what it is. */
const REPLAYED = { kiloBin: REPLAY_KILO, isolation: 'process' } as const

t.test('refuses to open with a program or an isolation that cannot work', async (t) => {
  await t.rejects(openStage(t, { kiloBin: '/nowhere/kilo' }), {
    message: "KILO_BIN: no file at /nowhere/kilo; set it to Kilo's native program"
  })
  const folder = await mkdtemp(join(tmpdir(), 'kilowatt-supervisor-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const file = join(folder, 'kilo')
  await writeFile(file, 'not a program')
  await t.rejects(openStage(t, { kiloBin: file }), { message: /is not executable/ })

  await writeFile(file, '#!/bin/sh\n')
  await chmod(file, 0o755)
  // Bubblewrap may be installed on this machine; it is not in this folder.
  await t.rejects(
    openStage(t, { kiloBin: file, isolation: 'bubblewrap', bubblewrapFolders: [folder] }),
    /cannot be isolated with bubblewrap here/
  )
})

t.test('fails a start that never listens, and leaves no process', async (t) => {
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
    reason: 'unavailable',
    message: 'Kilo did not listen within 2 s. Last output: still thinking'
  })
  t.same(await processesWith(silent.folder), [])
  t.same(silent.supervisor.running(), [])
  t.same(silent.metrics, [{ kind: 'start-failed' }, { kind: 'ended', reason: 'start_failed' }])

  const early = await open('echo "no such database" >&2; exit 3')
  await t.rejects(early.project(), {
    reason: 'unavailable',
    message: 'Kilo exited with code 3 before it listened. Last output: no such database'
  })

  const liar = await open('echo "kilo server listening on http://127.0.0.1:1"; sleep 600')
  await t.rejects(liar.project(), { name: 'AgentFailure', reason: 'unavailable' })
  t.same(await processesWith(liar.folder), [])
})

t.test('runs one process per project, at most agentsMax, and stops idle ones', async (t) => {
  let hours = 0
  const monotonicMs = () => systemClock.monotonicMs() + hours * HOUR_MS
  const clock = { ...systemClock, monotonicMs }
  const idleStopMs = HOUR_MS / 2
  const { supervisor, project, metrics, folder } = await openStage(t, {
    ...REPLAYED,
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
  t.equal(one, two, 'two borrowers share one process')
  borrowed.push(borrow())
  t.equal(await borrowed.at(-1)?.agent, one, 'and a third finds it warm')
  t.equal(started(), 1)
  t.throws(() => borrow(AbortSignal.abort(new Error('left'))), /left/)

  const [last, ...others] = borrowed
  others.forEach((other) => other[Symbol.dispose]())
  hours += 1
  await sleep(200)
  await t.rejects(
    project('second'),
    { reason: 'unavailable', message: 'All 1 agents of this server are busy.' },
    'a borrowed agent is never stopped for another project'
  )
  t.equal(supervisor.peek(first), one)
  last?.[Symbol.dispose]()
  last?.[Symbol.dispose]()
  const second = await project('second')
  t.equal(supervisor.peek(first), undefined, 'the idle one was stopped')
  t.same(
    supervisor.running().map(({ projectId }) => projectId),
    [second.id]
  )

  await play(second.agent, { text: replay('text') })
  second.borrowed[Symbol.dispose]()
  hours += 1
  // The supervisor polls for idle agents by itself; this one was used an hour ago.
  await untilGone(folder)
  t.same(supervisor.running(), [])
})

t.test('gives the last slot to one of two concurrent borrowers', async (t) => {
  const { project, metrics } = await openStage(t, { ...REPLAYED, agentsMax: 1 })
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

t.test('reconnects a silent stream without losing events of the turn', async (t) => {
  const { project, metrics } = await openStage(t, { times: { streamSilenceMs: 1500 } })
  const { agent } = await project()
  const text = 'word '.repeat(30).trim()
  // Kilo sends nothing while its model answers slowly, for longer than the silence timeout.
  const { answer, outcome, events } = await play(agent, {
    text: script({ say: text, chunks: 3, chunkMs: 2600 }, { say: 'never reached' })
  })
  t.equal(answer, text)
  t.same(outcome, { kind: 'completed' })
  t.equal(events.filter(({ type }) => type === 'usage.reported').length, 1)
  t.ok(metrics.some(({ kind }) => kind === 'reconnected'))
  t.notOk(metrics.some(({ kind }) => kind === 'text-not-exact'))
})

t.test('kills a Kilo that stops responding, and fails its turn as stalled', async (t) => {
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
    { reason: 'stalled', message: 'Kilo does not respond any more.' }
  )
  t.same(await processesWith(folder), [])
  t.ok(metrics.some(({ kind }) => kind === 'stalled'))

  await t.test('ends a cancelled turn although Kilo does not stop', async (t) => {
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

t.test('kills the agents of a crashed server at the next start', async (t) => {
  const stage = await openStage(t)
  const agentsDir = join(stage.folder, 'agents')
  const id = projectId.create()
  await mkdir(join(agentsDir, id), { recursive: true })
  const env = { KILOWATT_AGENT: 'a-marker-of-long-ago', PATH: process.env['PATH'] ?? '' }
  const orphan = spawn('sleep', ['600'], { env, detached: true, stdio: 'ignore' })
  const note = { marker: env.KILOWATT_AGENT, owner: { pid: 1, ticks: 'of another life' } }
  await writeFile(join(agentsDir, id, 'process.json'), JSON.stringify(note))

  const gone = new Promise((resolve) => orphan.once('exit', (_code, signal) => resolve(signal)))
  const { metrics } = await openStage(t, { agentsDir })
  t.same(metrics, [{ kind: 'orphan' }])
  t.equal(await gone, 'SIGKILL')
  await t.rejects(readFile(join(agentsDir, id, 'process.json')), 'and removes its note')
})
