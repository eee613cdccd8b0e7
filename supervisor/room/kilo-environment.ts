import { dirname, join } from 'node:path'
import { INSIDE } from './bubblewrap.ts'
import { MODELS_FILE, type OWN_FOLDERS } from '../process/agent-folder.ts'
import { MARKER } from '../process/tree.ts'

export interface EnvironmentFacts {
  readonly jailed: boolean
  /** The agent's own folder on this machine. */
  readonly own: string
  readonly worktree: string
  readonly ripgrep: string | undefined
  readonly marker: string
  readonly password: string
  readonly config: object
  readonly modelRetriesMax: number
}

const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** Nothing that phones home, updates itself, reads the repository's own settings, or goes on after its turn. */
const QUIET = {
  KILO_DISABLE_PROJECT_CONFIG: '1',
  KILO_DISABLE_MODELS_FETCH: '1',
  KILO_TELEMETRY_LEVEL: 'off',
  KILO_DISABLE_AUTOUPDATE: '1',
  KILO_DISABLE_LSP_DOWNLOAD: '1',
  KILO_DISABLE_SESSION_INGEST: '1',
  KILO_DISABLE_SHARE: '1',
  KILO_DISABLE_DEFAULT_PLUGINS: '1',
  KILO_DISABLE_CODEBASE_INDEXING: '1',
  KILO_DISABLE_PRESENCE: '1',
  KILO_EXPERIMENTAL_BACKGROUND_SUBAGENTS: 'false',
  KILO_EXPERIMENTAL_SHARED_AGENT_BOARD: 'false'
}

/** An agent's environment, built from nothing: what its tools can read holds no secret of this server's. */
export function kiloEnvironment(facts: EnvironmentFacts): Record<string, string> {
  const own = facts.jailed ? INSIDE.own : facts.own
  const folder = (name: (typeof OWN_FOLDERS)[number]) => join(own, name)
  const ripgrep = facts.jailed ? INSIDE.ripgrep : facts.ripgrep && dirname(facts.ripgrep)

  return {
    ...QUIET,
    PATH: [ripgrep, SYSTEM_PATH, ...(facts.jailed ? [] : [dirname(process.execPath)])]
      .filter(Boolean)
      .join(':'),
    LANG: 'C.UTF-8',
    HOME: folder('home'),
    TMPDIR: folder('tmp'),
    XDG_DATA_HOME: folder('data'),
    XDG_CONFIG_HOME: folder('config'),
    XDG_STATE_HOME: folder('state'),
    XDG_CACHE_HOME: folder('cache'),
    [MARKER]: facts.marker,
    // Our models are all in the configuration; reading the catalogue of thousands costs the first turn a second.
    KILO_MODELS_PATH: join(own, MODELS_FILE),
    KILO_CONFIG_CONTENT: JSON.stringify(facts.config),
    KILO_SERVER_PASSWORD: facts.password,
    KILO_SESSION_RETRY_LIMIT: String(Math.max(1, facts.modelRetriesMax)),
    // In a jail this pid does not exist and Kilo would leave at once; there `--die-with-parent` does it.
    ...(facts.jailed
      ? {}
      : {
          KILO_PARENT_PID: String(process.pid),
          GIT_CEILING_DIRECTORIES: dirname(facts.worktree)
        })
  }
}
