import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { KILO } from '#workspaces'
import { ANN, branch, folder, MERGE, newProject } from '../kit.ts'

/** A jail does not start the wrapper of these tests; it starts git with the same arguments and environment. */
const UNJAILED = { jailed: false }

/** Puts a git wrapper on the PATH that records every call. Unlike times, the number of calls is the same on every machine. */
function recordGitCalls(t: { teardown(work: () => void): void }) {
  const dir = folder(t)
  const logPath = join(dir, 'calls')
  const real = execFileSync('sh', ['-c', 'command -v git'], { encoding: 'utf8' }).trim()
  writeFileSync(
    join(dir, 'git'),
    `#!/bin/sh\nprintf '%s\\036' "$@" "$(env)" >> '${logPath}'\nprintf '\\037' >> '${logPath}'\nexec '${real}' "$@"\n`
  )
  chmodSync(join(dir, 'git'), 0o755)
  const before = process.env['PATH']
  process.env['PATH'] = `${dir}:${before}`
  t.teardown(() => (process.env['PATH'] = before))

  /** The commands run since the previous call. */
  return () => {
    const calls = existsSync(logPath)
      ? readFileSync(logPath, 'utf8').split('\x1f').slice(0, -1)
      : []
    rmSync(logPath, { force: true })
    return calls.map((call) => call.split('\x1e').slice(0, -1))
  }
}

/** The variables that we set, that a shell adds, and that the test runner adds to every child process. */
const ALLOWED_VARIABLES = /^(GIT_\w+|PATH|HOME|LC_ALL|PWD|OLDPWD|SHLVL|_|_TAPJS_\w+|NODE_OPTIONS)$/

const commandOf = (call: readonly string[]) =>
  call.find((word, n) => n > 0 && !word.startsWith('-') && call[n - 1] !== '-c') ?? ''

t.test('limits the git processes of each step of a job', async (t) => {
  const calls = recordGitCalls(t)
  const { ws, write } = await newProject(t, { a: 'a\n', b: 'b\n' }, {}, UNJAILED)
  const ran = () => calls().map(commandOf)
  ran()

  await ws.startJob(branch(1))
  t.same(ran(), ['status'])
  t.same(await ws.changes(), [])
  t.same(ran(), ['ls-files'])
  await ws.returnToMain()
  t.same(ran(), [], 'a job that changed nothing takes two')

  await ws.startJob(branch(2))
  write('a', 'changed\n')
  write('new', 'n\n')
  await ws.changes()
  ran()
  await ws.commitJob({ subject: 'x', trailers: {}, author: KILO })
  const commit = ran()
  t.same(commit, ['add', 'write-tree', 'rev-parse'], 'the last one only in a fresh process')
  await ws.mergeJob(branch(2), MERGE)
  t.same(ran(), [])
  await ws.returnToMain()
  t.same(ran(), [])
  await ws.save('b', Buffer.from('x'), { author: ANN })
  t.same(ran(), ['check-ignore', 'update-index', 'write-tree'])
})

t.test('runs every git command with the safe settings and environment', async (t) => {
  const calls = recordGitCalls(t)
  process.env['SECRET_OF_OURS'] = 'secret'
  t.teardown(() => delete process.env['SECRET_OF_OURS'])
  const project = await newProject(t, { a: 'a\n' }, {}, UNJAILED)
  const { ws, write } = project
  const { base } = await ws.startJob(branch(1))
  write('a', 'changed\n')
  const commit = (await ws.commitJob({ subject: 'x', trailers: {}, author: KILO })) ?? ''
  await ws.diff(base, commit)
  await ws.returnToMain()
  await ws.save('b', Buffer.from('b'), { author: ANN })
  await ws.mergeJob(branch(1), MERGE)
  await ws.revert(base, commit, MERGE)
  await ws.list()

  const all = calls()
  t.ok(all.length > 20)
  for (const call of all) {
    const command = commandOf(call)
    const environment = call.at(-1) ?? ''
    for (const setting of [
      'core.hooksPath=/dev/null',
      'core.fsmonitor=false',
      'protocol.allow=never',
      'credential.helper=',
      'gc.auto=0'
    ]) {
      t.ok(call.includes(setting), `${command} ${setting}`)
    }
    t.ok(
      command === 'init' || call.some((word) => word.startsWith('--git-dir=')),
      `${command} in our repository`
    )
    t.match(environment, /^GIT_CONFIG_GLOBAL=\/dev\/null$/m)
    t.match(environment, /^HOME=\/dev\/null$/m)
    t.notMatch(environment, 'secret')
    const names = environment.split('\n').flatMap((line) => /^(\w+)=/.exec(line)?.[1] ?? [])
    const others = names.filter((name) => !ALLOWED_VARIABLES.test(name))
    t.same(others, [], 'and nothing else is handed on')
  }
})
