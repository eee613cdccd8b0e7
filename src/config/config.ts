import { join, resolve } from 'node:path'
import { isIP } from 'node:net'
import { LIMITS, type AgentLimits } from '#kernel/limits.ts'
import { parseCredits, toCredits, WALLET_MAX, type Microcredits } from '#kernel/money.ts'
import type { AllowEntry } from '#net'
import { readAgentLimits } from './agent-limits.ts'
import { agentsThatFit, type Machine, memoryForAgents, thisMachine } from './agents-max.ts'
import { ConfigError, refuse, refuseSecret } from './config-error.ts'
import { readEgressAllow } from './egress-allow.ts'
import { type ProviderSettings, readProviders } from './providers.ts'
import {
  type Environment,
  httpUrl,
  list,
  oneOf,
  secret,
  secretUrl,
  text,
  wholeNumber
} from './readers.ts'

const ROLES = ['all', 'api', 'worker'] as const
const ISOLATIONS = ['auto', 'bubblewrap', 'process'] as const
const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const
const DAY_SECONDS = 24 * 60 * 60
const ADMIN_KEY_CHARS_MIN = 20

/** Every setting, read once and checked. Paths are absolute. */
export interface Config {
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  /** The address that clients use; undefined: requests for any host are answered. */
  readonly publicUrl: string | undefined
  /** A port for the metrics alone; undefined: only `/metrics` of the API, with the operator's key. */
  readonly metricsPort: number | undefined
  readonly dataDir: string
  readonly projectsDir: string
  /** Undefined: PGlite in `dataDir`. */
  readonly databaseUrl: string | undefined
  /** Empty: queue, lock and bell in this process. */
  readonly redisUrls: readonly string[]
  readonly role: (typeof ROLES)[number]
  /** Undefined: created at the first start and stored in `dataDir`. */
  readonly adminApiKey: string | undefined
  /** Undefined: the supervisor uses the installed platform package. */
  readonly kiloBin: string | undefined
  /** `provider/model`. */
  readonly model: string
  /** The configured providers, each with its key. */
  readonly providers: readonly ProviderSettings[]
  /** Undefined: the price list shipped with the product. */
  readonly priceList: string | undefined
  readonly reserveCredits: Microcredits
  /** 0: failures that an agent can cause are never refunded. */
  readonly goodwillPerDay: Microcredits
  readonly idleStopSeconds: number
  readonly jobTimeoutSeconds: number
  readonly modelRetryWaitMaxSeconds: number
  /** Undefined: history is never removed. */
  readonly eventRetentionDays: number | undefined
  readonly agentsMax: number
  /** What all agents may use together. */
  readonly agentsMemoryBytes: number
  readonly agentLimits: AgentLimits
  readonly isolation: (typeof ISOLATIONS)[number]
  /** Agents without a room start on repositories with settings for Kilo, too. */
  readonly trustRepositories: boolean
  /** Compared whole with a browser's `Origin`. */
  readonly allowedOrigins: readonly string[]
  readonly socketsPerUserMax: number
  readonly socketsPerAddressMax: number
  /** Addresses and networks of reverse proxies whose `X-Forwarded-For` is believed. */
  readonly trustedProxies: readonly string[]
  /** Where rooms may connect to; undefined: the registry that npm is configured with on this machine. */
  readonly egressAllow: readonly AllowEntry[] | undefined
  readonly egressBytesPerDay: number
  readonly logLevel: (typeof LOG_LEVELS)[number]
}

/** Reads the settings of an environment; throws a `ConfigError` for the first invalid one. */
export function readConfig(
  env: Environment,
  cwd: string,
  machine: Machine = thisMachine()
): Config {
  const path = (given: string) => resolve(cwd, given)
  const seconds = (name: 'IDLE_STOP_SECONDS' | 'JOB_TIMEOUT_SECONDS', standard: number) =>
    wholeNumber(env, name, { from: 1, to: 7 * DAY_SECONDS, standard })
  const sockets = (name: 'SOCKETS_PER_USER_MAX' | 'SOCKETS_PER_ADDRESS_MAX', standard: number) =>
    wholeNumber(env, name, { from: 1, to: 1_000_000, standard })
  const agentsMemoryBytes = wholeNumber(env, 'AGENTS_MEMORY_BYTES', {
    from: 1,
    to: 1e15,
    standard: memoryForAgents(machine)
  })
  const dataDir = path(text(env, 'DATA_DIR') ?? 'data')
  const kiloBin = text(env, 'KILO_BIN')
  const priceList = text(env, 'PRICE_LIST')

  const config: Config = {
    host: readHost(env),
    port: wholeNumber(env, 'PORT', { from: 0, to: 65_535, standard: 8080 }),
    publicUrl: readPublicUrl(env),
    metricsPort: wholeNumber(env, 'METRICS_PORT', { from: 0, to: 65_535, standard: undefined }),
    dataDir,
    projectsDir: path(text(env, 'PROJECTS_DIR') ?? join(dataDir, 'projects')),
    databaseUrl: readDatabaseUrl(env),
    redisUrls: readRedisUrls(env),
    role: oneOf(env, 'ROLE', ROLES, 'all'),
    adminApiKey: secret(env, 'ADMIN_API_KEY', ADMIN_KEY_CHARS_MIN),
    kiloBin: kiloBin && path(kiloBin),
    model: readModel(env),
    providers: Object.freeze(readProviders(env)),
    priceList: priceList && path(priceList),
    reserveCredits: readReserve(env),
    goodwillPerDay: readGoodwill(env),
    idleStopSeconds: seconds('IDLE_STOP_SECONDS', 600),
    jobTimeoutSeconds: seconds('JOB_TIMEOUT_SECONDS', 3600),
    modelRetryWaitMaxSeconds: wholeNumber(env, 'MODEL_RETRY_WAIT_MAX_SECONDS', {
      from: 0,
      to: 7 * DAY_SECONDS,
      standard: 120
    }),
    // 0 is invalid: it could mean "keep nothing" as well as "remove nothing".
    eventRetentionDays: wholeNumber(env, 'EVENT_RETENTION_DAYS', {
      from: 1,
      to: 36_500,
      standard: undefined
    }),
    agentsMax: wholeNumber(env, 'AGENTS_MAX', {
      from: 1,
      to: 1000,
      standard: agentsThatFit(agentsMemoryBytes, machine)
    }),
    agentsMemoryBytes,
    agentLimits: readAgentLimits(env),
    isolation: oneOf(env, 'ISOLATION', ISOLATIONS, 'auto'),
    trustRepositories: oneOf(env, 'TRUST_REPOSITORIES', ['true', 'false'], 'false') === 'true',
    allowedOrigins: Object.freeze(list(env, 'ALLOWED_ORIGINS').map(checkOrigin)),
    socketsPerUserMax: sockets('SOCKETS_PER_USER_MAX', LIMITS.socketsPerUserMax),
    socketsPerAddressMax: sockets('SOCKETS_PER_ADDRESS_MAX', LIMITS.socketsPerAddressMax),
    trustedProxies: Object.freeze(list(env, 'TRUSTED_PROXIES').map(checkNetwork)),
    egressAllow: readEgressAllow(env),
    egressBytesPerDay: wholeNumber(env, 'EGRESS_BYTES_PER_DAY', {
      from: 1,
      to: 1e15,
      standard: LIMITS.egressBytesPerDay
    }),
    logLevel: oneOf(env, 'LOG_LEVEL', LOG_LEVELS, 'info')
  }
  checkRole(config)
  return Object.freeze(config)
}

function readHost(env: Environment): string {
  const given = text(env, 'HOST') ?? '127.0.0.1'
  if (!/^[\w.:-]+$/.test(given)) throw refuse('HOST', given, 'a host name or an IP address')
  return given
}

function readPublicUrl(env: Environment): string | undefined {
  const given = httpUrl(env, 'PUBLIC_URL')
  if (given === undefined || new URL(given).pathname === '/') return given
  throw refuse('PUBLIC_URL', given, 'an address without a path, like https://kilowatt.example.com')
}

function readDatabaseUrl(env: Environment): string | undefined {
  const given = text(env, 'DATABASE_URL')
  return given && secretUrl(given, 'DATABASE_URL', ['postgres:', 'postgresql:'])
}

/** With an even number of Redis nodes the votes can be split, and no process would ever get the lock. */
function readRedisUrls(env: Environment): readonly string[] {
  const urls = list(env, 'REDIS_URL').map((url) =>
    secretUrl(url, 'REDIS_URL', ['redis:', 'rediss:'])
  )
  if (urls.length > 0 && urls.length % 2 === 0) {
    throw new ConfigError(
      'REDIS_URL',
      `names ${urls.length} nodes: expected an odd number of them.`
    )
  }
  if (new Set(urls).size < urls.length) throw refuseSecret('REDIS_URL', 'each node once')
  return Object.freeze(urls)
}

function readModel(env: Environment): string {
  const given = text(env, 'MODEL') ?? 'anthropic/claude-sonnet-5-5'
  if (!/^[\w.-]+\/\S+$/.test(given)) throw refuse('MODEL', given, 'provider/model')
  return given
}

function readReserve(env: Environment): Microcredits {
  const given = text(env, 'RESERVE_CREDITS') ?? '10'
  const amount = /^[\d.]+$/.test(given) ? parseCredits(Number(given)) : undefined
  if (!amount) {
    throw refuse('RESERVE_CREDITS', given, 'a number of credits above 0, with at most six decimals')
  }
  return amount
}

function readGoodwill(env: Environment): Microcredits {
  const given = text(env, 'GOODWILL_CREDITS_PER_DAY') ?? '50'
  const amount = /^[\d.]+$/.test(given) ? parseCredits(Number(given)) : undefined
  if (amount === undefined || amount > WALLET_MAX) {
    const allowed = `a number of credits from 0 to ${toCredits(WALLET_MAX)}, with at most six decimals`
    throw refuse('GOODWILL_CREDITS_PER_DAY', given, allowed)
  }
  return amount
}

function checkOrigin(given: string): string {
  const url = URL.parse(given)
  if (!url || !['http:', 'https:'].includes(url.protocol) || url.origin !== given) {
    const allowed = 'whole origins like https://app.example.com, in lower case, without a path'
    throw refuse('ALLOWED_ORIGINS', given, allowed)
  }
  return given
}

function checkNetwork(given: string): string {
  const [address = '', bits] = given.split('/')
  const bitsMax = isIP(address) === 6 ? 128 : 32
  const fits = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= bitsMax)
  if (isIP(address) && fits) return given
  throw refuse('TRUSTED_PROXIES', given, 'IP addresses and networks like 10.0.0.0/8')
}

/** Separate `api` and `worker` processes share only PostgreSQL and Redis, so both are required. */
function checkRole({ role, databaseUrl, redisUrls }: Config): void {
  if (role === 'all' || (databaseUrl !== undefined && redisUrls.length > 0)) return
  const missing = databaseUrl === undefined ? 'DATABASE_URL' : 'REDIS_URL'
  throw new ConfigError('ROLE', `is "${role}", which requires ${missing}: set it, or use ROLE=all.`)
}
