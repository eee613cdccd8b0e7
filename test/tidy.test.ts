import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { existsSync, globSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, normalize } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'

const ROOT = join(import.meta.dirname, '..')
const PRODUCT = ['src', 'supervisor', 'billing', 'fixtures']
const LINES_MAX = 250
const FILES_MAX = 15
const DOOR_LINES_MAX = 30
/** Files that were longer when this check was added. The list only gets shorter. */
const LONGER: ReadonlySet<string> = new Set()

const run = promisify(execFile)
const find = (pattern: string) =>
  globSync(pattern, { cwd: ROOT, exclude: ['node_modules/**', 'fixtures/dist/**'] }).toSorted()
const read = (path: string) => readFile(join(ROOT, path), 'utf8')
const linesOf = async (path: string) => (await read(path)).trimEnd().split('\n')

t.test('an index.ts holds nothing but a short list of exports', async (t) => {
  const doors = find(`{${PRODUCT.join(',')}}/**/index.ts`)
  t.ok(doors.length > 5)
  for (const path of doors) {
    const lines = await linesOf(path)
    const others = lines.filter((line) => !/^(export (type )?[{*]|  |\}|$)/.test(line))
    t.same(others, [], `${path} only re-exports`)
    t.ok(
      lines.length <= DOOR_LINES_MAX,
      `${path} has at most ${DOOR_LINES_MAX} lines (${lines.length})`
    )
  }
})

t.test('every path in package.json#imports exists', async (t) => {
  const { imports } = JSON.parse(await read('package.json')) as { imports: Record<string, string> }
  for (const [name, path] of Object.entries(imports)) {
    t.ok(existsSync(join(ROOT, path.replace('/*', ''))), `${name} leads to ${path}`)
  }
})

t.test('no file is longer than 250 lines', async (t) => {
  for (const path of find(`{${PRODUCT.join(',')}}/**/*.ts`)) {
    const { length } = await linesOf(path)
    if (LONGER.has(path))
      t.ok(length > LINES_MAX, `${path} is short enough now: remove it from the list`)
    else t.ok(length <= LINES_MAX, `${path} has ${length} lines`)
  }
})

t.test('no folder holds more than 15 files', async (t) => {
  // Generated schemas, recordings, and letters that are only ever added to.
  const lists = /^(docs\/schemas|docs\/decisions|fixtures\/sse)\b/
  const files = find('{src,supervisor,billing,fixtures,test,docs}/**/*.*')
  for (const [folder, inside] of Object.entries(Object.groupBy(files, (path) => dirname(path)))) {
    if (lists.test(folder)) continue
    t.ok(inside!.length <= FILES_MAX, `${folder} has ${inside!.length} files`)
  }
})

/** What reads the wall clock itself: the clock, times of files, and the times that messages of a socket show. */
const WALL_CLOCK: ReadonlySet<string> = new Set([
  'src/kernel/clock.ts',
  'src/kernel/machine/lock-file.ts',
  'src/adapters/embedded/data-lock.ts',
  'src/http/stream/notices.ts'
])
/** What calculates with it: times that people read, calendar days, and the times in Kilo's messages. */
const INSTANTS: ReadonlySet<string> = new Set([
  'src/events/retention.ts',
  'src/jobs/finish/finish-job.ts',
  'src/jobs/run/prompts.ts',
  'src/workspaces/history/commits.ts',
  'src/workspaces/repair/repair.ts',
  'supervisor/egress/project-usage.ts',
  'supervisor/kilo/notices.ts',
  'supervisor/pool/agent-records.ts',
  'supervisor/turn/opening.ts'
])

t.test('no duration is measured by the wall clock, which can be set', async (t) => {
  const readers: [RegExp, ReadonlySet<string>][] = [
    [/Date\.now\(\)|new Date\(\)/, WALL_CLOCK],
    [/now\(\)\.getTime\(\)/, INSTANTS]
  ]
  for (const path of find('{src,supervisor,billing}/**/*.{ts,mjs}')) {
    const text = await read(path)
    for (const [pattern, allowed] of readers) {
      t.equal(
        pattern.test(text),
        allowed.has(path),
        `${path}: use the monotonic clock (${pattern})`
      )
    }
  }
})

t.test('every decision states why, what it costs, and what would change it', async (t) => {
  const letters = find('docs/decisions/*.md')
  t.ok(letters.length > 0)
  for (const path of letters) {
    const text = await read(path)
    t.match(text, /^# \d{4} — /, `${path} has a number and a name`)
    for (const part of ['**Because**', '**It costs**', '**We would change our mind if**']) {
      t.ok(text.includes(part), `${path} has the part ${part}`)
    }
  }
})

t.test('every link in the documentation has a target', async (t) => {
  const pages = [...find('*.md'), ...find('{docs,fixtures}/**/*.md')]
  for (const page of pages) {
    const text = (await read(page)).replace(/```[\s\S]*?```/g, '')
    for (const [, target = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^(https?:|mailto:)/.test(target)) continue
      const [file = '', anchor] = target.split('#')
      const path = file === '' ? page : normalize(join(dirname(page), file))
      t.ok(existsSync(join(ROOT, path)), `${page} links to ${target}`)
      if (anchor) t.ok((await anchorsOf(path)).includes(anchor), `${path} has #${anchor}`)
    }
  }
})

async function anchorsOf(path: string): Promise<string[]> {
  return [...(await read(path)).matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(' ', '-')
  )
}

t.test('the lockfile names no registry and no install script', async (t) => {
  const { packages } = JSON.parse(await read('package-lock.json')) as {
    packages: Record<string, { resolved?: string; hasInstallScript?: boolean }>
  }
  const names = Object.keys(packages)
  t.ok(names.length > 100)
  t.same(
    names.filter((name) => packages[name]?.resolved),
    [],
    'no package names a registry'
  )
  t.same(
    names.filter((name) => packages[name]?.hasInstallScript),
    [],
    'no package has an install script'
  )
  t.notMatch(await read('.npmrc'), /^\s*(@[^:]+:)?registry/m)
})

t.test('the README has the two commands for demo and tests', async (t) => {
  const readme = await read('README.md')
  t.match(readme, 'npm ci && npm run demo')
  t.match(readme, 'npm ci && npm test')
})

/**
 * Words that docs/contributing.md asks to avoid, with the number of their uses that are left. A number may only shrink:
 * more uses fail, fewer uses fail until the number is lowered. The failure prints the whole table with today's counts.
 */
const WORDS_FILE = 'test/words-to-avoid.json'

t.test('no word to avoid is used more often than before', async (t) => {
  const allowed = JSON.parse(await read(WORDS_FILE)) as Record<string, number>
  const files = find('{src,supervisor,billing,fixtures,test}/**/*.{ts,mjs}')
  const pages = [...find('docs/*.md'), 'README.md']
  const texts = await Promise.all([...files, ...pages].map(read))
  const counted = Object.fromEntries(
    Object.keys(allowed).map((word) => {
      const pattern = new RegExp(`(?<![a-z])${word.replaceAll(' ', '\\s+')}(?![a-z])`, 'gi')
      return [word, texts.reduce((sum, text) => sum + (text.match(pattern)?.length ?? 0), 0)]
    })
  )
  for (const [word, max] of Object.entries(allowed)) {
    const count = counted[word] ?? 0
    t.ok(count <= max, `"${word}" is used ${count} times, ${max} are allowed: use plain words`)
    t.ok(count >= max, `"${word}" is used ${count} times: lower its number in ${WORDS_FILE}`)
  }
  if (!t.passing()) t.comment(`${WORDS_FILE} with today's counts: ${JSON.stringify(counted)}`)
})

t.test('the runner finds every test', async (t) => {
  const env = { PATH: process.env.PATH, HOME: process.env.HOME }
  const tap = join(ROOT, 'node_modules/.bin/tap')
  const { stdout } = await run(tap, ['list'], { cwd: ROOT, env })
  t.same(stdout.trim().split('\n').toSorted(), find('test/**/*.test.ts'))
})

/** One forbidden import each: where it is planted, what it imports, and the rule that must name it. */
const PLANTS: readonly (readonly [path: string, imports: string, rule: string])[] = [
  ['src/kernel/planted.ts', '#db', 'layer-of-kernel'],
  ['src/net/planted.ts', '#db', 'layer-of-net'],
  ['src/db/planted.ts', '#billing', 'layer-of-db'],
  ['src/config/planted.ts', '#db', 'layer-of-config'],
  ['src/ports/planted.ts', '#events', 'layer-of-ports'],
  ['src/adapters/planted.ts', '#events', 'layer-of-adapters'],
  ['supervisor/planted.ts', '#db', 'layer-of-supervisor'],
  ['billing/planted.ts', '#supervisor', 'layer-of-billing'],
  ['src/workspaces/planted.ts', '#supervisor', 'layer-of-workspaces'],
  ['src/events/planted.ts', '#jobs', 'layer-of-events'],
  ['src/accounts/planted.ts', '#projects', 'layer-of-accounts'],
  ['src/projects/planted.ts', '#events', 'layer-of-projects'],
  ['src/editing/planted.ts', '#jobs', 'layer-of-editing'],
  ['src/gateway/planted.ts', '#jobs', 'layer-of-gateway'],
  ['src/jobs/planted.ts', '#http', 'layer-of-jobs'],
  ['src/http/planted.ts', '#supervisor', 'layer-of-http'],
  ['fixtures/planted.ts', '../src/kernel/ids.ts', 'layer-of-fixtures'],
  ['fixtures/planted-undeclared.ts', 'pino', 'no-undeclared-packages'],
  ['src/jobs/planted-type.ts', 'type #http', 'layer-of-jobs'],
  ['supervisor/kilo/planted.ts', '../stream/read-sse.ts', 'layer-of-supervisor-kilo'],
  ['supervisor/process/planted.ts', '../room/room.ts', 'layer-of-supervisor-process'],
  ['supervisor/repository/planted.ts', '../room/room.ts', 'layer-of-supervisor-repository'],
  ['supervisor/stream/planted.ts', '../turn/mailbox.ts', 'layer-of-supervisor-stream'],
  ['supervisor/turn/planted.ts', 'type ../agent/agent.ts', 'layer-of-supervisor-turn'],
  ['supervisor/room/planted.ts', '../agent/agent.ts', 'layer-of-supervisor-room'],
  ['supervisor/egress/planted.ts', '../agent/agent.ts', 'layer-of-supervisor-egress'],
  ['supervisor/limits/planted.ts', '../agent/agent.ts', 'layer-of-supervisor-limits'],
  ['supervisor/agent/planted.ts', '../pool/slots.ts', 'layer-of-supervisor-agent'],
  ['supervisor/pool/planted.ts', '../supervisor.ts', 'layer-of-supervisor-pool'],
  ['supervisor/attic/planted.ts', '../options.ts', 'every-supervisor-folder-has-a-layer'],
  ['supervisor/planted-jobs.ts', '#kernel/job-failures.ts', 'supervisor-knows-no-jobs'],
  ['src/http/planted-sql.ts', 'kysely', 'only-here-sql-in-stores'],
  ['src/jobs/planted-git.ts', 'simple-git', 'only-here-git-in-workspaces'],
  ['src/jobs/planted-queue.ts', 'p-queue', 'only-here-redis-and-queues-in-adapters'],
  ['src/db/planted-pglite.ts', '@electric-sql/pglite', 'only-here-redis-and-queues-in-adapters'],
  [
    'src/jobs/planted-stream.ts',
    'eventsource-parser',
    'only-here-event-streams-where-they-are-read'
  ],
  ['src/jobs/planted-kilo.ts', '@kilocode/sdk/v2/client', 'only-here-kilo-in-the-supervisor'],
  [
    'src/http/planted-process.ts',
    'node:child_process',
    'only-here-processes-in-supervisor-and-workspaces'
  ],
  ['src/attic/planted.ts', '#kernel/ids.ts', 'every-folder-has-a-layer'],
  [
    'src/adapters/embedded/planted.ts',
    '../distributed/planted.ts',
    'no-imports-between-embedded-and-distributed'
  ],
  ['src/adapters/distributed/planted.ts', 'node:fs', ''],
  ['src/jobs/planted-window.ts', '../../billing/planted-inside.ts', 'by-the-door'],
  ['billing/planted-inside.ts', 'node:fs', ''],
  ['src/planted.ts', '../billing/planted-inside.ts', 'wired-by-the-door'],
  ['src/http/planted-top.ts', '../planted.ts', 'no-imports-of-the-wiring'],
  ['src/http/planted-test.ts', '../../test/planted.ts', 'no-tests-in-the-product'],
  ['test/planted.ts', 'node:fs', ''],
  ['src/kernel/planted-ring.ts', './planted-ring.ts', 'no-cycles'],
  ['src/kernel/planted-ring-b.ts', './planted-ring-c.ts', 'no-cycles'],
  ['src/kernel/planted-ring-c.ts', './planted-ring-b.ts', ''],
  ['src/kernel/planted-types-b.ts', 'type ./planted-types-c.ts', 'no-cycles'],
  ['src/kernel/planted-types-c.ts', 'type ./planted-types-b.ts', ''],
  ['src/kernel/planted-nowhere.ts', './is-not-there.ts', 'no-unresolvable'],
  ['src/kernel/planted-dev.ts', 'fast-check', 'no-dev-dependencies-in-the-product'],
  ['src/kernel/planted-undeclared.ts', 'ajv', 'no-undeclared-packages']
]

t.test('the layer check names the rule that a planted import breaks', async (t) => {
  const copy = await mkdtemp(join(tmpdir(), 'kilowatt-layers-'))
  t.teardown(() => rm(copy, { recursive: true, force: true }))
  for (const path of [...PRODUCT, 'package.json', 'tsconfig.json', '.dependency-cruiser.mjs']) {
    await cp(join(ROOT, path), join(copy, path), { recursive: true })
  }
  await symlink(join(ROOT, 'node_modules'), join(copy, 'node_modules'))
  for (const [path, imports] of PLANTS) {
    const [, type = '', name = ''] = /^(type )?(.+)$/.exec(imports) ?? []
    await mkdir(dirname(join(copy, path)), { recursive: true })
    await writeFile(
      join(copy, path),
      `import ${type}* as planted from '${name}'\nexport { planted }\n`
    )
  }

  const cruise = join(ROOT, 'node_modules/.bin/depcruise')
  const args = ['--config', '.dependency-cruiser.mjs', '--output-type', 'json', ...PRODUCT, 'test']
  const { stdout } = await run(cruise, args, { cwd: copy, maxBuffer: 64 * 1024 * 1024 })
  const { violations } = (JSON.parse(stdout) as Cruised).summary
  const named = new Set(violations.map(({ from, rule }) => `${rule.name} in ${from}`))

  for (const [path, imports, rule] of PLANTS) {
    if (rule) t.ok(named.has(`${rule} in ${path}`), `${rule}: ${path} imports ${imports}`)
  }
  const planted = new Set(PLANTS.map(([, , rule]) => rule))
  const layers = (await import(join(ROOT, '.dependency-cruiser.mjs'))) as Layers
  for (const { name } of layers.default.forbidden)
    t.ok(planted.has(name), `${name} has a planted violation`)
})

t.test('docs/architecture.md lists the layers that are checked', async (t) => {
  const { LAYERS } = (await import(join(ROOT, '.dependency-cruiser.mjs'))) as Layers
  const page = (await read('docs/architecture.md')).split('## Layers')[1]!.split('\n\n')[1]!
  const rows = page.split('\n').slice(2)
  const names = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name)
  const documented = rows.map((row) => {
    const [, folder = '', below = ''] = row.split('|')
    return [names(folder)[0], names(below).toSorted()]
  })
  t.same(
    Object.fromEntries(documented),
    Object.fromEntries(Object.entries(LAYERS).map(([folder, below]) => [folder, below.toSorted()]))
  )
})

interface Layers {
  readonly LAYERS: Readonly<Record<string, readonly string[]>>
  readonly default: { readonly forbidden: readonly { readonly name: string }[] }
}

interface Cruised {
  readonly summary: {
    readonly violations: readonly { readonly from: string; readonly rule: { name: string } }[]
  }
}
