import { dirname, join } from 'node:path'
import { MODELS_FILE, type OWN_FOLDERS } from '../process/agent-folder.ts'
import type { Room } from '../room/room.ts'

export interface EnvironmentFacts {
  readonly room: Pick<Room, 'kind' | 'paths'>
  readonly password: string
  readonly config: object
  readonly modelRetriesMax: number
}

const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** Disables telemetry, updates, downloads, the repository's own settings, and work that continues after a turn. */
const QUIET = {
  KILO_DISABLE_PROJECT_CONFIG: '1',
  KILO_DISABLE_CLAUDE_CODE: '1',
  KILO_DISABLE_EXTERNAL_SKILLS: '1',
  KILO_DISABLE_SKILL_SHELL: '1',
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
  const { paths, kind } = facts.room
  const folder = (name: (typeof OWN_FOLDERS)[number]) => join(paths.own, name)

  return {
    ...QUIET,
    // Kilo does not start in it. The replayed Kilo of the kit reads its settings there.
    KILOWATT_WORKTREE: paths.work,
    PATH: [paths.ripgrep, SYSTEM_PATH, paths.node].filter(Boolean).join(':'),
    LANG: 'C.UTF-8',
    HOME: folder('home'),
    TMPDIR: folder('tmp'),
    XDG_DATA_HOME: folder('data'),
    XDG_CONFIG_HOME: folder('config'),
    XDG_STATE_HOME: folder('state'),
    XDG_CACHE_HOME: folder('cache'),
    // All our models are in the configuration; reading the catalogue of thousands costs the first turn a second.
    KILO_MODELS_PATH: join(paths.given, MODELS_FILE),
    KILO_CONFIG_CONTENT: JSON.stringify(facts.config),
    KILO_SERVER_PASSWORD: facts.password,
    KILO_SESSION_RETRY_LIMIT: String(Math.max(1, facts.modelRetriesMax)),
    // In a sandbox this pid does not exist and Kilo would exit immediately; there the room ends with this server.
    ...(kind === 'plain'
      ? {
          KILO_PARENT_PID: String(process.pid),
          GIT_CEILING_DIRECTORIES: dirname(paths.work)
        }
      : {})
  }
}
