import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { type Config, ConfigError, HELP, readConfig } from '#config'
import { credits, microcredits } from '#kernel/money.ts'
import { agentsThatFit, memoryForAgents } from '../../../src/config/agents-max.ts'
import { SETTINGS } from '../../../src/config/settings.ts'

const GB = 1e9
const machine = { memoryBytes: 24 * GB, cores: 2 }
const read = (env: Record<string, string>) => readConfig(env, '/srv/kilowatt', machine)

t.test('with nothing given, everything has a value', async (t) => {
  t.same(read({}), {
    host: '127.0.0.1',
    port: 8080,
    publicUrl: undefined,
    metricsPort: undefined,
    dataDir: '/srv/kilowatt/data',
    projectsDir: '/srv/kilowatt/data/projects',
    databaseUrl: undefined,
    redisUrls: [],
    role: 'all',
    adminApiKey: undefined,
    kiloBin: undefined,
    model: 'anthropic/claude-sonnet-5-5',
    providers: [],
    priceList: undefined,
    reserveCredits: credits(10),
    goodwillPerDay: credits(50),
    idleStopSeconds: 600,
    jobTimeoutSeconds: 3600,
    modelRetryWaitMaxSeconds: 120,
    eventRetentionDays: undefined,
    agentsMax: 8,
    agentsMemoryBytes: 16_799_999_999,
    agentLimits: {
      memorySoftBytes: 1_342_177_280,
      memoryMaxBytes: 2_147_483_648,
      processesMax: 2048,
      openFilesMax: 8192,
      nice: 5,
      quotaBytes: 5_368_709_120,
      quotaFiles: 200_000
    },
    isolation: 'auto',
    trustRepositories: false,
    allowedOrigins: [],
    socketsPerUserMax: 50,
    socketsPerAddressMax: 500,
    trustedProxies: [],
    egressAllow: undefined,
    egressBytesPerDay: 10_485_760_000,
    logLevel: 'info'
  } satisfies Config)
  t.same(
    read(Object.fromEntries(SETTINGS.map(({ name }) => [name, '']))),
    { ...read({}), egressAllow: [] },
    'empty is not given, except for the list of allowed hosts'
  )
})

t.test('a config cannot be changed, nor what is in it', async (t) => {
  const config = read({
    ANTHROPIC_API_KEY: 'key',
    ALLOWED_ORIGINS: 'http://a',
    EGRESS_ALLOW: 'a:443',
    REDIS_URL: 'redis://a'
  })
  for (const part of [
    config,
    config.providers,
    config.providers[0],
    config.allowedOrigins,
    config.redisUrls,
    config.egressAllow,
    config.egressAllow?.[0]
  ]) {
    t.ok(Object.isFrozen(part))
  }
})

t.test('good values are read', async (t) => {
  const good: [Record<string, string>, Partial<Config>][] = [
    [
      { HOST: '0.0.0.0', PORT: '0' },
      { host: '0.0.0.0', port: 0 }
    ],
    [
      { HOST: '::1', PORT: '65535' },
      { host: '::1', port: 65_535 }
    ],
    [
      { DATA_DIR: '/var/kilowatt' },
      { dataDir: '/var/kilowatt', projectsDir: '/var/kilowatt/projects' }
    ],
    [
      { DATA_DIR: '../there', PROJECTS_DIR: 'mine' },
      { dataDir: '/srv/there', projectsDir: '/srv/kilowatt/mine' }
    ],
    [{ EVENT_RETENTION_DAYS: '90' }, { eventRetentionDays: 90 }],
    [{ KILO_BIN: 'bin/kilo' }, { kiloBin: '/srv/kilowatt/bin/kilo' }],
    [{ PRICE_LIST: '/etc/prices.json' }, { priceList: '/etc/prices.json' }],
    [
      { DATABASE_URL: 'postgresql://u:p@db:5432/kw' },
      { databaseUrl: 'postgresql://u:p@db:5432/kw' }
    ],
    [
      { REDIS_URL: 'redis://a:6379, rediss://b:6379,redis://c:6379' },
      { redisUrls: ['redis://a:6379', 'rediss://b:6379', 'redis://c:6379'] }
    ],
    [
      { ROLE: 'worker', DATABASE_URL: 'postgres://db/kw', REDIS_URL: 'redis://a' },
      { role: 'worker' }
    ],
    [{ ADMIN_API_KEY: 'kw_0123456789abcdefghij' }, { adminApiKey: 'kw_0123456789abcdefghij' }],
    [
      { MODEL: 'openai-compatible/meta/llama-4:free' },
      { model: 'openai-compatible/meta/llama-4:free' }
    ],
    [
      { ANTHROPIC_API_KEY: ' sk-ant ' },
      {
        providers: [{ id: 'anthropic', apiKey: 'sk-ant', baseUrl: 'https://api.anthropic.com' }]
      }
    ],
    [
      { ANTHROPIC_API_KEY: 'k', ANTHROPIC_BASE_URL: 'http://127.0.0.1:4100/v1/' },
      { providers: [{ id: 'anthropic', apiKey: 'k', baseUrl: 'http://127.0.0.1:4100/v1' }] }
    ],
    [
      { OPENAI_COMPATIBLE_BASE_URL: 'http://localhost:11434/v1' },
      {
        providers: [
          { id: 'openai-compatible', apiKey: undefined, baseUrl: 'http://localhost:11434/v1' }
        ]
      }
    ],
    [{ RESERVE_CREDITS: '0.25' }, { reserveCredits: microcredits(250_000n) }],
    [{ GOODWILL_CREDITS_PER_DAY: '0' }, { goodwillPerDay: microcredits(0n) }],
    [{ GOODWILL_CREDITS_PER_DAY: '7.5' }, { goodwillPerDay: microcredits(7_500_000n) }],
    [
      { IDLE_STOP_SECONDS: '5', JOB_TIMEOUT_SECONDS: '60' },
      { idleStopSeconds: 5, jobTimeoutSeconds: 60 }
    ],
    [{ AGENTS_MAX: '3' }, { agentsMax: 3 }],
    [{ AGENTS_MEMORY_BYTES: '2000000000' }, { agentsMax: 4, agentsMemoryBytes: 2_000_000_000 }],
    [
      { AGENT_MEMORY_BYTES_MAX: '700000000', QUOTA_PROJECT_FILES: '5000' },
      {
        agentLimits: {
          ...read({}).agentLimits,
          memorySoftBytes: 700_000_000,
          memoryMaxBytes: 700_000_000,
          quotaFiles: 5000
        }
      }
    ],
    [{ ISOLATION: 'process' }, { isolation: 'process' }],
    [{ TRUST_REPOSITORIES: 'true' }, { trustRepositories: true }],
    [{ TRUST_REPOSITORIES: 'false' }, { trustRepositories: false }],
    [
      { EGRESS_ALLOW: ' Registry.Example.com , *.example.org:8443' },
      {
        egressAllow: [
          { host: { kind: 'name', name: 'registry.example.com' }, port: 443, allowsPrivate: false },
          { host: { kind: 'below', name: 'example.org' }, port: 8443, allowsPrivate: false }
        ]
      }
    ],
    [{ EGRESS_BYTES_PER_DAY: '5' }, { egressBytesPerDay: 5 }],
    [
      { ALLOWED_ORIGINS: 'https://app.example.com,http://localhost:3000' },
      { allowedOrigins: ['https://app.example.com', 'http://localhost:3000'] }
    ],
    [{ PUBLIC_URL: 'https://kw.example/' }, { publicUrl: 'https://kw.example' }],
    [{ METRICS_PORT: '0' }, { metricsPort: 0 }],
    [{ SOCKETS_PER_USER_MAX: '7' }, { socketsPerUserMax: 7 }],
    [{ SOCKETS_PER_ADDRESS_MAX: '8' }, { socketsPerAddressMax: 8 }],
    [
      { TRUSTED_PROXIES: '127.0.0.1, 10.0.0.0/8,fd00::/8' },
      { trustedProxies: ['127.0.0.1', '10.0.0.0/8', 'fd00::/8'] }
    ],
    [{ LOG_LEVEL: 'silent' }, { logLevel: 'silent' }]
  ]
  for (const [env, expected] of good) t.match(read(env), expected, JSON.stringify(env))
})

t.test('a bad value is refused in one line that names it', async (t) => {
  const bad: [Record<string, string>, string][] = [
    [{ PORT: '65536' }, 'PORT is "65536": expected a whole number from 0 to 65535.'],
    [{ PORT: '80a' }, 'PORT is "80a": expected a whole number from 0 to 65535.'],
    [{ PORT: '-1' }, 'PORT is "-1": expected a whole number from 0 to 65535.'],
    [{ PORT: '8e3' }, 'PORT is "8e3": expected a whole number from 0 to 65535.'],
    [{ HOST: 'my host' }, 'HOST is "my host": expected a host name or an IP address.'],
    [{ HOST: 'http://x\ny' }, 'HOST is "http://x\\ny": expected a host name or an IP address.'],
    [{ ROLE: 'boss' }, 'ROLE is "boss": expected one of all, api, worker.'],
    [{ ROLE: 'api' }, 'ROLE is "api", which requires DATABASE_URL: set it, or use ROLE=all.'],
    [
      { ROLE: 'worker', DATABASE_URL: 'postgres://db/kw' },
      'ROLE is "worker", which requires REDIS_URL: set it, or use ROLE=all.'
    ],
    [
      { DATABASE_URL: 'mysql://u:hunter2@db/kw' },
      'DATABASE_URL is invalid: expected a URL like postgres://user:password@host:port.'
    ],
    [
      { REDIS_URL: 'redis://:hunter2@a,redis://b' },
      'REDIS_URL names 2 nodes: expected an odd number of them.'
    ],
    [
      { REDIS_URL: 'redis://a,hunter2,redis://b' },
      'REDIS_URL is invalid: expected a URL like redis://user:password@host:port.'
    ],
    [
      { REDIS_URL: 'redis://a,redis://a,redis://b' },
      'REDIS_URL is invalid: expected each node once.'
    ],
    [
      { ADMIN_API_KEY: 'hunter2' },
      'ADMIN_API_KEY is invalid: expected at least 20 printable ASCII characters without spaces.'
    ],
    [
      { ANTHROPIC_API_KEY: 'hunter2\nx' },
      'ANTHROPIC_API_KEY is invalid: expected printable ASCII characters without spaces.'
    ],
    [
      { ANTHROPIC_BASE_URL: 'api.anthropic.com' },
      'ANTHROPIC_BASE_URL is "api.anthropic.com": expected a URL that begins with http:// or https://.'
    ],
    [
      { OPENAI_COMPATIBLE_BASE_URL: 'https://me:hunter2@models/v1' },
      'OPENAI_COMPATIBLE_BASE_URL is invalid: expected a URL without a user, a password, a query or a fragment.'
    ],
    [
      { OPENAI_COMPATIBLE_API_KEY: 'hunter2' },
      'OPENAI_COMPATIBLE_BASE_URL is missing: OPENAI_COMPATIBLE_API_KEY needs the address of its endpoint.'
    ],
    [{ MODEL: 'claude' }, 'MODEL is "claude": expected provider/model.'],
    [
      { RESERVE_CREDITS: '0' },
      'RESERVE_CREDITS is "0": expected a number of credits above 0, with at most six decimals.'
    ],
    [
      { RESERVE_CREDITS: '1.2345678' },
      'RESERVE_CREDITS is "1.2345678": expected a number of credits above 0, with at most six decimals.'
    ],
    ...['-1', 'lots', '1.2345678', '8000000001'].map((value): [Record<string, string>, string] => [
      { GOODWILL_CREDITS_PER_DAY: value },
      `GOODWILL_CREDITS_PER_DAY is "${value}": expected a number of credits from 0 to 8000000000, with at most six decimals.`
    ]),
    [
      { IDLE_STOP_SECONDS: '0' },
      'IDLE_STOP_SECONDS is "0": expected a whole number from 1 to 604800.'
    ],
    [
      { JOB_TIMEOUT_SECONDS: '1h' },
      'JOB_TIMEOUT_SECONDS is "1h": expected a whole number from 1 to 604800.'
    ],
    [
      { EVENT_RETENTION_DAYS: '0' },
      'EVENT_RETENTION_DAYS is "0": expected a whole number from 1 to 36500.'
    ],
    [{ AGENTS_MAX: '0' }, 'AGENTS_MAX is "0": expected a whole number from 1 to 1000.'],
    [
      { AGENT_MEMORY_BYTES_MAX: '1000' },
      'AGENT_MEMORY_BYTES_MAX is "1000": expected a whole number from 600000000 to 1000000000000000.'
    ],
    [
      { AGENT_MEMORY_BYTES_MAX: '700000000', AGENT_MEMORY_BYTES_SOFT: '700000001' },
      'AGENT_MEMORY_BYTES_SOFT is 700000001: expected no more than AGENT_MEMORY_BYTES_MAX, which is 700000000.'
    ],
    [{ AGENT_NICE: '20' }, 'AGENT_NICE is "20": expected a whole number from 0 to 19.'],
    [
      { EGRESS_ALLOW: 'a.example:443, b.example:99999' },
      'EGRESS_ALLOW is "b.example:99999": expected a port from 1 to 65535, or * for every port.'
    ],
    [{ ISOLATION: 'docker' }, 'ISOLATION is "docker": expected one of auto, bubblewrap, process.'],
    [{ TRUST_REPOSITORIES: 'yes' }, 'TRUST_REPOSITORIES is "yes": expected one of true, false.'],
    ...[
      '*',
      'null',
      'app.example.com',
      'https://App.example.com',
      'https://a.com/',
      'ws://a.com'
    ].map((origin): [Record<string, string>, string] => [
      { ALLOWED_ORIGINS: `https://good.com,${origin}` },
      `ALLOWED_ORIGINS is "${origin}": expected whole origins like https://app.example.com, in lower case, without a path.`
    ]),
    [
      { PUBLIC_URL: 'kw.example' },
      'PUBLIC_URL is "kw.example": expected a URL that begins with http:// or https://.'
    ],
    [
      { PUBLIC_URL: 'https://kw.example/api' },
      'PUBLIC_URL is "https://kw.example/api": expected an address without a path, like https://kilowatt.example.com.'
    ],
    [{ METRICS_PORT: 'x' }, 'METRICS_PORT is "x": expected a whole number from 0 to 65535.'],
    [
      { SOCKETS_PER_USER_MAX: '0' },
      'SOCKETS_PER_USER_MAX is "0": expected a whole number from 1 to 1000000.'
    ],
    ...['proxy.example', '10.0.0.0/33', '10.0.0.0/', '1.2.3'].map(
      (network): [Record<string, string>, string] => [
        { TRUSTED_PROXIES: network },
        `TRUSTED_PROXIES is "${network}": expected IP addresses and networks like 10.0.0.0/8.`
      ]
    ),
    [
      { LOG_LEVEL: 'x'.repeat(100) },
      `LOG_LEVEL is "${'x'.repeat(60)}…": expected one of trace, debug, info, warn, error, fatal, silent.`
    ]
  ]
  for (const [env, message] of bad) {
    try {
      read(env)
      t.fail(`accepted ${JSON.stringify(env)}`)
    } catch (error) {
      t.ok(error instanceof ConfigError)
      t.equal((error as Error).message, message)
      t.notMatch((error as Error).message, /hunter2|\n/)
    }
  }
})

t.test('agents are counted by memory, then by cores', async (t) => {
  for (const [gigabytes, cores, expected] of [
    [0.5, 1, 1],
    [4, 2, 5],
    [8, 4, 11],
    [24, 2, 8],
    [64, 16, 64],
    [64, 4, 16]
  ] as const) {
    t.equal(
      agentsThatFit(memoryForAgents({ memoryBytes: gigabytes * GB, cores }), { cores }),
      expected,
      `${gigabytes} GB, ${cores} cores`
    )
  }
  t.ok(readConfig({}, '/').agentsMax >= 1, 'this machine carries at least one')
})

t.test('help and documentation name every setting', async (t) => {
  const page = await readFile(join(import.meta.dirname, '../../../docs/running.md'), 'utf8')
  for (const { name } of SETTINGS) {
    t.match(HELP, new RegExp(`^  ${name} `, 'm'))
    t.ok(page.includes(`\`${name}\``), `docs/running.md has ${name}`)
  }
})
