interface Setting {
  readonly name: string
  /** What holds when nothing is given, in words. */
  readonly standard: string
  readonly meaning: string
}

/** Every setting there is, in the order in which people look for them. docs/running.md has the same table. */
export const SETTINGS = [
  { name: 'HOST', standard: '127.0.0.1', meaning: 'address to listen on' },
  {
    name: 'PORT',
    standard: '8080',
    meaning: 'port to listen on; 0 picks a free one and prints it'
  },
  { name: 'DATA_DIR', standard: './data', meaning: 'everything the embedded mode stores' },
  { name: 'PROJECTS_DIR', standard: '$DATA_DIR/projects', meaning: 'one folder a project' },
  { name: 'DATABASE_URL', standard: 'PGlite in $DATA_DIR/db', meaning: 'postgres://… instead' },
  {
    name: 'REDIS_URL',
    standard: 'in this process',
    meaning: 'redis://… for queue, lock and bell; several with commas, odd in number'
  },
  { name: 'ROLE', standard: 'all', meaning: 'api, worker or all' },
  {
    name: 'ADMIN_API_KEY',
    standard: 'made once, in $DATA_DIR/admin-key',
    meaning: "the operator's key"
  },
  { name: 'KILO_BIN', standard: 'the installed package', meaning: "Kilo's native program" },
  {
    name: 'MODEL',
    standard: 'anthropic/claude-sonnet-5-5',
    meaning: 'model of jobs that name none, provider/model'
  },
  { name: 'ANTHROPIC_API_KEY', standard: '–', meaning: 'switches the provider anthropic on' },
  {
    name: 'ANTHROPIC_BASE_URL',
    standard: 'https://api.anthropic.com',
    meaning: 'where that provider is'
  },
  {
    name: 'OPENAI_COMPATIBLE_API_KEY',
    standard: '–',
    meaning: 'its key, where the endpoint wants one'
  },
  {
    name: 'OPENAI_COMPATIBLE_BASE_URL',
    standard: '–',
    meaning: 'switches the provider openai-compatible on; ends before /chat/completions'
  },
  { name: 'PRICE_LIST', standard: 'the one in billing/', meaning: 'path of a JSON price list' },
  {
    name: 'RESERVE_CREDITS',
    standard: '10',
    meaning: 'what a job reserves while its project has no history'
  },
  { name: 'IDLE_STOP_SECONDS', standard: '600', meaning: 'an unused agent is stopped after this' },
  { name: 'JOB_TIMEOUT_SECONDS', standard: '3600', meaning: 'the longest that a job may run' },
  {
    name: 'EVENT_RETENTION_DAYS',
    standard: 'kept for ever',
    meaning: 'history of jobs that ended longer ago is removed'
  },
  { name: 'AGENTS_MAX', standard: 'sized from memory', meaning: 'most agents at once' },
  { name: 'ISOLATION', standard: 'auto', meaning: 'bubblewrap, process or auto' },
  {
    name: 'ALLOWED_ORIGINS',
    standard: 'none',
    meaning: 'browser origins that may call, with commas'
  },
  {
    name: 'LOG_LEVEL',
    standard: 'info',
    meaning: 'trace, debug, info, warn, error, fatal or silent'
  }
] as const satisfies readonly Setting[]

export type SettingName = (typeof SETTINGS)[number]['name']

const nameWidth = Math.max(...SETTINGS.map(({ name }) => name.length))

/** What `npm start -- --help` prints. */
export const HELP = `Kilowatt: send a prompt, and Kilo carries it out in the project's git workspace while you watch.

  npm start

Settings are environment variables; an empty one counts as not given.

${SETTINGS.map(
  ({ name, standard, meaning }) => `  ${name.padEnd(nameWidth)}  ${meaning} (${standard})`
).join('\n')}

docs/running.md says more about each.
`
