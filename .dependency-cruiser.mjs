/** What each folder may import of ours: the table of docs/architecture.md, as data. */
export const LAYERS = {
  'src/kernel': [],
  'src/net': ['src/kernel'],
  'src/db': ['src/kernel'],
  'src/config': ['src/net', 'src/kernel'],
  'src/ports': ['src/db', 'src/kernel'],
  'src/adapters': ['src/ports', 'src/db', 'src/kernel'],
  supervisor: ['src/net', 'src/kernel'],
  billing: ['src/db', 'src/kernel'],
  'src/workspaces': ['src/net', 'src/kernel'],
  'src/events': ['src/ports', 'src/db', 'src/kernel'],
  'src/accounts': ['src/db', 'src/kernel'],
  'src/projects': ['src/db', 'src/kernel'],
  'src/editing': [
    'src/workspaces',
    'src/events',
    'src/projects',
    'src/ports',
    'src/db',
    'src/kernel'
  ],
  'src/gateway': ['billing', 'src/net', 'src/kernel'],
  'src/jobs': [
    'supervisor',
    'billing',
    'src/workspaces',
    'src/events',
    'src/projects',
    'src/ports',
    'src/db',
    'src/kernel'
  ],
  'src/http': [
    'src/jobs',
    'src/editing',
    'src/gateway',
    'src/events',
    'src/projects',
    'src/accounts',
    'billing',
    // To open a transaction and pass it on; SQL itself stays in stores.
    'src/db',
    'src/net',
    'src/kernel'
  ],
  fixtures: []
}

/**
 * What the folders inside `supervisor` may import of each other. The files beside them (options, failures, redaction)
 * are a vocabulary that all of them share; `supervisor.ts` and `index.ts` stand above them all.
 */
export const SUPERVISOR_LAYERS = {
  kilo: [],
  process: [],
  repository: [],
  stream: ['kilo'],
  turn: ['stream', 'kilo'],
  room: ['process'],
  egress: ['room', 'process'],
  limits: ['room', 'process'],
  agent: ['turn', 'stream', 'kilo', 'room', 'egress', 'limits', 'repository', 'process'],
  pool: ['agent']
}

/** Folders without an index.ts, where every file may be imported: the shared vocabulary, the ports and their adapters. */
const OPEN = ['src/kernel', 'src/ports', 'src/adapters']

/** Packages that only the listed places may import, so that one folder adapts each of them. Tests may import all. */
const RESTRICTED_PACKAGES = {
  'sql-in-stores': {
    packages: ['kysely'],
    places: ['-store\\.ts$', '^src/db/', '^src/adapters/']
  },
  'git-in-workspaces': { packages: ['simple-git'], places: ['^src/workspaces/git/'] },
  'redis-and-queues-in-adapters': {
    packages: ['ioredis', 'bullmq', 'redlock', 'p-queue', 'pg', '@electric-sql/pglite'],
    places: ['^src/adapters/']
  },
  'kilo-in-the-supervisor': {
    packages: ['@kilocode/sdk'],
    places: ['^supervisor/kilo/', '^fixtures/']
  },
  'event-streams-where-they-are-read': {
    packages: ['eventsource-parser'],
    places: ['^supervisor/stream/', '^fixtures/', '^src/gateway/answers/']
  }
}

/** What wires the product, and the demo that shows it: they may import everything. */
const TOP = '^src/([^/]+\\.ts$|compose/|demo/)'
const OURS = '^(src|supervisor|billing|fixtures)/'
const any = (paths) => `^(${paths.join('|')})/`

const layers = Object.entries(LAYERS).map(([folder, below]) => ({
  name: `layer-of-${folder.replace('src/', '')}`,
  comment: `${folder} may import ${below.join(', ') || 'nothing of ours'}.`,
  severity: 'error',
  from: { path: `^${folder}/` },
  to: { path: OURS, pathNot: any([folder, ...below]) }
}))

const SUPERVISOR_SHARED = ['options', 'agent-end', 'agent-failure', 'redact']
const supervisorLayers = Object.entries(SUPERVISOR_LAYERS).map(([folder, below]) => ({
  name: `layer-of-supervisor-${folder}`,
  comment: `supervisor/${folder} may import ${below.join(', ') || 'no other folder of supervisor'}.`,
  severity: 'error',
  from: { path: `^supervisor/${folder}/` },
  to: {
    path: '^supervisor/',
    pathNot: [
      any([folder, ...below].map((name) => `supervisor/${name}`)),
      `^supervisor/(${SUPERVISOR_SHARED.join('|')})\\.ts$`
    ]
  }
}))

const restrictedPackages = Object.entries(RESTRICTED_PACKAGES).map(
  ([name, { packages, places }]) => ({
    name: `only-here-${name}`,
    comment: `${packages.join(', ')}: only the folders that adapt a package may import it.`,
    severity: 'error',
    from: { path: OURS, pathNot: [...places, '^src/compose/'] },
    to: { path: `(^|node_modules/)(${packages.join('|')})(/|$)` }
  })
)

export default {
  forbidden: [
    ...layers,
    ...supervisorLayers,
    ...restrictedPackages,
    {
      name: 'only-here-processes-in-supervisor-and-workspaces',
      comment: 'Only these start other programs; the fixtures kit does too, for its recordings.',
      severity: 'error',
      from: {
        path: OURS,
        pathNot: ['^supervisor/(process|room)/', '^src/workspaces/git/', '^fixtures/']
      },
      to: { path: '^(node:)?child_process$', dependencyTypes: ['core'] }
    },
    {
      name: 'supervisor-knows-no-jobs',
      comment: 'The supervisor throws AgentFailure; src/jobs maps it to a JobFailure.',
      severity: 'error',
      from: { path: '^supervisor/' },
      to: { path: '^src/kernel/job-failures\\.ts$' }
    },
    {
      name: 'every-supervisor-folder-has-a-layer',
      comment: 'A new folder of supervisor needs an entry in SUPERVISOR_LAYERS.',
      severity: 'error',
      from: {
        path: '^supervisor/[^/]+/',
        pathNot: any(Object.keys(SUPERVISOR_LAYERS).map((name) => `supervisor/${name}`))
      },
      to: {}
    },
    {
      name: 'every-folder-has-a-layer',
      comment: 'A new folder needs an entry in LAYERS.',
      severity: 'error',
      from: { path: '^src/[^/]+/', pathNot: [TOP, any(Object.keys(LAYERS))] },
      to: {}
    },
    {
      name: 'no-imports-between-embedded-and-distributed',
      comment: 'Embedded and distributed are chosen once, in compose.ts.',
      severity: 'error',
      from: { path: '^src/adapters/(embedded|distributed)/' },
      to: { path: '^src/adapters/(embedded|distributed)/', pathNot: '^src/adapters/$1/' }
    },
    {
      name: 'by-the-door',
      comment: 'Another folder is entered by its index.ts.',
      severity: 'error',
      from: { path: '^(src/[^/]+|supervisor|billing|fixtures)/', pathNot: TOP },
      to: {
        path: OURS,
        pathNot: ['^$1/', '^(src/[^/]+|supervisor|billing|fixtures)/index\\.ts$', any(OPEN)]
      }
    },
    {
      name: 'wired-by-the-door',
      comment: 'compose.ts, main.ts and the demo use doors as well.',
      severity: 'error',
      from: { path: TOP },
      to: { path: OURS, pathNot: ['/index\\.ts$', TOP, any(OPEN)] }
    },
    {
      name: 'no-imports-of-the-wiring',
      comment:
        'Only compose/, the entry files and the demo may import each other: no part depends on how it is wired.',
      severity: 'error',
      from: { path: OURS, pathNot: TOP },
      to: { path: TOP }
    },
    {
      name: 'no-tests-in-the-product',
      severity: 'error',
      from: { path: OURS },
      to: { path: '^test/' }
    },
    {
      name: 'no-cycles',
      comment: 'Type imports included: a cycle of types is a cycle for its reader.',
      severity: 'error',
      from: {},
      to: { circular: true }
    },
    {
      name: 'no-unresolvable',
      comment: 'An import that is not found escapes every other rule.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true }
    },
    {
      name: 'no-dev-dependencies-in-the-product',
      severity: 'error',
      from: { path: OURS },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] }
    },
    {
      name: 'no-undeclared-packages',
      severity: 'error',
      from: { path: OURS },
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] }
    }
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    // The built kit: its sources are checked instead.
    exclude: { path: '^fixtures/dist/' },
    // Types are imports too: a layer that knows another's types knows the other.
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['node', 'import', 'types', 'default'],
      extensions: ['.ts', '.mjs', '.js', '.json']
    }
  }
}
