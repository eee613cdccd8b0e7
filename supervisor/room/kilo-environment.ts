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

/** Disables telemetry, updates, downloads, the repository's own settings, and work that continues after a turn. */
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

/** An agent's environment. It inherits nothing, so the agent's tools can read no secret of this server's. */
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
    // All our models are in the configuration; reading the catalogue of thousands costs the first turn a second.
    KILO_MODELS_PATH: join(own, MODELS_FILE),
    KILO_CONFIG_CONTENT: JSON.stringify(facts.config),
    KILO_SERVER_PASSWORD: facts.password,
    KILO_SESSION_RETRY_LIMIT: String(Math.max(1, facts.modelRetriesMax)),
    // In a sandbox this pid does not exist and Kilo would exit immediately; there `--die-with-parent` has its effect.
    ...(facts.jailed
      ? {}
      : {
          KILO_PARENT_PID: String(process.pid),
          GIT_CEILING_DIRECTORIES: dirname(facts.worktree)
        })
  }
}
