import { realpathSync } from 'node:fs'
import { sep } from 'node:path'
import { env } from 'node:process'

/** What a repository could add to Kilo's settings, and does not. */
const NONE = { agent: {}, mode: {}, command: {}, mcp: {}, formatter: false, lsp: false }
/** What Kilo derives itself, besides the settings of the server. */
const DERIVED = new Set(['username', 'instructions', 'instruction_origins', 'permission_origins'])

/**
 * A plugin of Kilo's: its settings are those of the server, whatever the repository holds. Kilo 7.7.7 merges files of the
 * worktree into them although project settings are off. It calls this hook when they are merged, and before it uses them.
 *
 * The repository's files of rules stay: they are text for the model. Those that lie elsewhere do not.
 */
export const OwnSettings = async ({ directory }) => ({
  config: async (settings) => {
    const ours = JSON.parse(env['KILO_CONFIG_CONTENT'])
    for (const key of Object.keys(settings)) {
      if (!(key in ours) && !DERIVED.has(key)) delete settings[key]
    }
    Object.assign(settings, NONE, ours)
    settings.instructions = (settings.instructions ?? []).filter((path) => liesIn(directory, path))
  }
})

function liesIn(folder, path) {
  try {
    return realpathSync(path).startsWith(realpathSync(folder) + sep)
  } catch {
    return false
  }
}
