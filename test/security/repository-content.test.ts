import { mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { script, startScriptedModel } from '#fixtures'
import { systemClock } from '#kernel/clock.ts'
import { projectId } from '#kernel/ids.ts'
import { silentLog } from '#kernel/log.ts'
import { AGENT_LIMITS } from '#kernel/limits.ts'
import { launch } from '../../supervisor/agent/launch.ts'
import { findRuntime, type Runtime } from '../../supervisor/agent/runtime.ts'
import { AGENT_TIMES } from '../../supervisor/options.ts'
import type { RoomCommand } from '../../supervisor/room/room.ts'
import { MARKS, plantRepository } from '../helpers/planted-repository.ts'
import { usableBubblewrap } from '../helpers/rooms/usable-bubblewrap.ts'
import { API_KEY, MODEL } from '../supervisor/helpers.ts'

const skip = usableBubblewrap === undefined && 'bubblewrap cannot be used on this machine'
const PASSWORD = 'a-password'

/** What a Kilo on a planted repository reports after a turn, and the marks that were left meanwhile. */
async function observe(t: Test, change?: (runtime: Runtime) => Runtime) {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'kilowatt-planted-')))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const worktree = join(folder, 'worktree')
  const agentsDir = join(folder, 'agents')
  await mkdir(worktree)
  await plantRepository(worktree, '/work')
  const id = projectId.create()
  if (change === undefined) await plantOwnPlugin(join(agentsDir, id, 'own'))
  const model = await startScriptedModel({ apiKey: API_KEY })
  t.teardown(() => model[Symbol.asyncDispose]())
  const models = [{ id: 'scripted', contextTokens: 200_000, outputTokens: 8192 }]
  const runtime = await findRuntime({ kiloBin: undefined, isolation: 'auto', agentsDir }, silentLog)
  const kilo = await launch(
    {
      ...{ worktree, agentsDir, password: PASSWORD, defaultModel: MODEL, clock: systemClock },
      projectId: id,
      runtime: change?.(runtime) ?? runtime,
      providers: [{ id: 'openai-compatible', baseUrl: model.url, apiKey: API_KEY, models }],
      modelTimeouts: { headerMs: 60_000 },
      modelRetriesMax: 1,
      times: AGENT_TIMES,
      limits: AGENT_LIMITS,
      log: silentLog,
      redact: (text) => text
    },
    new AbortController().signal
  )
  t.teardown(() => kilo.room[Symbol.asyncDispose]())

  const headers = {
    authorization: `Basic ${btoa(`kilo:${PASSWORD}`)}`,
    'x-kilo-directory': '/work',
    'content-type': 'application/json'
  }
  const ask = async (path: string, body?: object): Promise<unknown> => {
    const init = body ? { method: 'POST', body: JSON.stringify(body) } : {}
    const request = new Request(`${kilo.url}${path}`, { ...init, headers })
    return (await kilo.http.fetch(request)).json()
  }
  const reported: Record<string, unknown> = {}
  for (const path of REPORTS) reported[path] = await ask(path)
  const session = (await ask('/session', { title: 't' })) as { id: string }
  const answer = await ask(`/session/${session.id}/message`, {
    agent: 'code',
    model: { providerID: 'openai-compatible', modelID: 'scripted' },
    parts: [{ type: 'text', text: script(...TURN) }]
  })
  t.match(answer, { info: { finish: 'stop' } }, 'the turn has ended')
  const environment = await readFile(join(worktree, 'environment'), 'utf8')
  const marks = (await readdir(join(worktree, MARKS))).filter((name) => name !== '.keep')
  return { reported, environment, marks: marks.toSorted() }
}

/**
 * What an earlier job has written into the agent's own settings. It takes effect when it is not removed, which was tried
 * once: Kilo first tries to install packages for it, for 100 s.
 */
async function plantOwnPlugin(own: string): Promise<void> {
  const folder = join(own, 'config/kilo/plugin')
  await mkdir(folder, { recursive: true })
  const mark = `/work/${MARKS}/plugin-of-an-earlier-job`
  await writeFile(join(folder, 'p.js'), `require('node:fs').writeFileSync('${mark}', '')\n`)
}

const REPORTS = [
  '/agent',
  '/mcp',
  '/config',
  '/config/providers',
  '/command',
  '/skill',
  '/formatter',
  '/lsp',
  '/experimental/tool/ids'
]

/** Each tool that reads or writes files, and a command. */
const TURN = [
  { tool: 'write', input: { filePath: '/work/src/b.ts', content: 'export const b=1' } },
  { tool: 'edit', input: { filePath: '/work/src/a.ts', oldString: 'a = 1', newString: 'a = 2' } },
  { tool: 'read', input: { filePath: '/work/src/a.ts' } },
  { tool: 'grep', input: { pattern: 'export' } },
  { tool: 'glob', input: { pattern: '**/*.ts' } },
  { tool: 'bash', input: { command: 'env > environment', description: 'x' } },
  { say: 'done' }
]

const plantedIn = (reported: unknown) => [
  ...new Set(JSON.stringify(reported).match(/planted-[\w-]+/g))
]

t.test('nothing that a repository contains configures Kilo', { skip }, async (t) => {
  const { reported, environment, marks } = await observe(t)
  t.same(marks, [], 'no process, plugin, package or tool of it has run')
  for (const [path, answer] of Object.entries(reported)) t.same(plantedIn(answer), [], path)
  t.match(reported['/config'], { permission: { webfetch: 'deny', edit: 'allow', bash: 'allow' } })
  t.notMatch(reported['/config'], { permission: { read: /./ } })
  t.notMatch(environment, /PLANTED|preload/)
  t.match(environment, /KILO_CONFIG|XDG_DATA_HOME=\/kilo\/data/, 'the command ran')
})

/** The product's own start, without what keeps Kilo apart from the repository. */
function unprotected({ rooms, ...runtime }: Runtime): Runtime {
  const bare = (command: RoomCommand): RoomCommand => {
    if (!command.argv.includes('serve')) return command
    const env = Object.fromEntries(
      Object.entries(command.env).filter(([name]) => !/CLAUDE_CODE|SKILL/.test(name))
    )
    const config = JSON.parse(env['KILO_CONFIG_CONTENT'] ?? '') as object
    env['KILO_CONFIG_CONTENT'] = JSON.stringify({ ...config, plugin: [] })
    return { ...command, env, cwd: '/work' }
  }
  const open: typeof rooms.open = async (plan) => {
    const room = await rooms.open(plan)
    return { ...room, spawn: (command) => room.spawn(bare(command)) }
  }
  return { ...runtime, rooms: { ...rooms, open } }
}

t.test('without the protection, what is planted takes effect', { skip }, async (t) => {
  const { reported, marks } = await observe(t, unprotected)
  // The paths of tsconfig.json come before node_modules: without them, the planted package of the same name is loaded.
  t.same(marks, ['mcp-kilo', 'mcp-kilocode', 'tsconfig-paths'])
  for (const name of ['planted-ignored', 'planted-kilocodemodes']) {
    t.ok(plantedIn(reported['/agent']).includes(name), name)
  }
  t.same(plantedIn(reported['/mcp']).toSorted(), ['planted-mcp-kilo', 'planted-mcp-kilocode'])
  t.match(plantedIn(reported['/command']).join(), /planted-w-kilo\b/)
  t.match(JSON.stringify(reported['/config']), /planted-ignored/)
})
