interface Setting {
  readonly name: string
  /** The default, in words. */
  readonly standard: string
  readonly meaning: string
}

/** Every setting. docs/running.md has the same table. */
export const SETTINGS = [
  { name: 'HOST', standard: '127.0.0.1', meaning: 'address to listen on' },
  {
    name: 'PORT',
    standard: '8080',
    meaning: 'port to listen on; 0: any free port, which is logged'
  },
  {
    name: 'PUBLIC_URL',
    standard: 'any',
    meaning: 'address that clients use; requests for other hosts are refused'
  },
  {
    name: 'METRICS_PORT',
    standard: '–',
    meaning: 'port for /metrics without a key; 0: any free port, which is logged'
  },
  { name: 'DATA_DIR', standard: './data', meaning: 'folder for all data of the embedded mode' },
  {
    name: 'PROJECTS_DIR',
    standard: '$DATA_DIR/projects',
    meaning: 'folder with one subfolder per project'
  },
  {
    name: 'DATABASE_URL',
    standard: 'PGlite in $DATA_DIR/db',
    meaning: 'PostgreSQL server, postgres://…'
  },
  {
    name: 'REDIS_URL',
    standard: 'in this process',
    meaning: 'Redis for queue, lock and bus, redis://…; an odd number, separated by commas'
  },
  { name: 'ROLE', standard: 'all', meaning: 'part of the product to run: api, worker or all' },
  {
    name: 'ADMIN_API_KEY',
    standard: 'created at the first start, in $DATA_DIR/admin-key',
    meaning: "the operator's key"
  },
  { name: 'KILO_BIN', standard: 'the installed package', meaning: "path of Kilo's native program" },
  {
    name: 'MODEL',
    standard: 'anthropic/claude-sonnet-5-5',
    meaning: 'default model of jobs, provider/model'
  },
  {
    name: 'ANTHROPIC_API_KEY',
    standard: '–',
    meaning: 'key of the provider anthropic; enables it'
  },
  {
    name: 'ANTHROPIC_BASE_URL',
    standard: 'https://api.anthropic.com',
    meaning: 'base URL of the provider anthropic'
  },
  {
    name: 'OPENAI_COMPATIBLE_API_KEY',
    standard: '–',
    meaning: 'key of the provider openai-compatible, if it needs one'
  },
  {
    name: 'OPENAI_COMPATIBLE_BASE_URL',
    standard: '–',
    meaning: 'base URL of the provider openai-compatible, without /chat/completions; enables it'
  },
  { name: 'PRICE_LIST', standard: 'the one in billing/', meaning: 'path of a JSON price list' },
  {
    name: 'RESERVE_CREDITS',
    standard: '10',
    meaning: 'credits that a job reserves when its project has no earlier jobs'
  },
  {
    name: 'GOODWILL_CREDITS_PER_DAY',
    standard: '50',
    meaning: 'credits that a user gets back in 24 hours for jobs whose agent crashed'
  },
  {
    name: 'IDLE_STOP_SECONDS',
    standard: '600',
    meaning: 'an idle agent is stopped after this time'
  },
  { name: 'JOB_TIMEOUT_SECONDS', standard: '3600', meaning: 'time limit of a job' },
  {
    name: 'MODEL_RETRY_WAIT_MAX_SECONDS',
    standard: '120',
    meaning: 'a job that would wait longer for its model provider fails'
  },
  {
    name: 'EVENT_RETENTION_DAYS',
    standard: 'never removed',
    meaning: 'events of jobs that ended before that are removed'
  },
  {
    name: 'AGENTS_MAX',
    standard: 'from memory and cores',
    meaning: 'maximum of concurrent agents'
  },
  {
    name: 'AGENTS_MEMORY_BYTES',
    standard: '70 % of the memory',
    meaning: 'memory of all agents together; idle ones are stopped to stay below it'
  },
  {
    name: 'AGENT_MEMORY_BYTES_SOFT',
    standard: '1342177280',
    meaning: 'an agent that takes more memory is stopped after its job'
  },
  {
    name: 'AGENT_MEMORY_BYTES_MAX',
    standard: '2147483648',
    meaning: 'an agent that takes more memory, with its commands, is killed and its job fails'
  },
  {
    name: 'AGENT_PROCESSES_MAX',
    standard: '2048',
    meaning: 'processes and threads of an agent and its commands; with more it is killed'
  },
  {
    name: 'AGENT_OPEN_FILES_MAX',
    standard: '8192',
    meaning: 'open files of each process of an agent'
  },
  {
    name: 'AGENT_NICE',
    standard: '5',
    meaning: 'niceness of agents and their commands, 0 to 19: the server gets the CPU first'
  },
  {
    name: 'QUOTA_PROJECT_BYTES',
    standard: '5368709120',
    meaning: "disk space of a project's files and its agent's own data"
  },
  {
    name: 'QUOTA_PROJECT_FILES',
    standard: '200000',
    meaning: "files and folders of a project and of its agent's own data"
  },
  {
    name: 'ISOLATION',
    standard: 'auto',
    meaning: 'sandbox of agents: bubblewrap, process or auto'
  },
  {
    name: 'TRUST_REPOSITORIES',
    standard: 'false',
    meaning:
      'true: with ISOLATION=process, agents start on repositories with settings for Kilo, too'
  },
  {
    name: 'EGRESS_ALLOW',
    standard: "the registry in npm's configuration",
    meaning:
      'hosts that agents reach, separated by commas: name:port, *.name:port, * or host:port!private; empty: none'
  },
  {
    name: 'EGRESS_BYTES_PER_DAY',
    standard: '10485760000',
    meaning: 'bytes that a project may transfer to and from these hosts in a day (UTC)'
  },
  {
    name: 'ALLOWED_ORIGINS',
    standard: 'none',
    meaning: 'allowed browser origins (CORS), separated by commas'
  },
  {
    name: 'TRUSTED_PROXIES',
    standard: 'none',
    meaning:
      'addresses and networks of reverse proxies, separated by commas; limits per address need it'
  },
  {
    name: 'SOCKETS_PER_USER_MAX',
    standard: '50',
    meaning: 'maximum of concurrent sockets and event streams of a user'
  },
  {
    name: 'SOCKETS_PER_ADDRESS_MAX',
    standard: '500',
    meaning: 'maximum of concurrent sockets and event streams of an address'
  },
  {
    name: 'LOG_LEVEL',
    standard: 'info',
    meaning: 'log level: trace, debug, info, warn, error, fatal or silent'
  }
] as const satisfies readonly Setting[]

export type SettingName = (typeof SETTINGS)[number]['name']

const nameWidth = Math.max(...SETTINGS.map(({ name }) => name.length))

/** The output of `npm start -- --help`. */
export const HELP = `Kilowatt: send a prompt, and Kilo carries it out in the project's git workspace while you watch.

  npm start

Settings are environment variables; an empty one counts as not given.

${SETTINGS.map(
  ({ name, standard, meaning }) => `  ${name.padEnd(nameWidth)}  ${meaning} (${standard})`
).join('\n')}

See docs/running.md for details.
`
