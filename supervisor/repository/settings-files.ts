import { lstat } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * What Kilo 7.7.7 reads from a worktree as settings although project settings are off: MCP servers, modes, commands and
 * permissions (docs/decisions/0022). Its files of rules are not among them: they are text for the model.
 */
const SETTINGS_FILES = [
  '.kilo/mcp.json',
  '.kilocode/mcp.json',
  '.kilocodemodes',
  '.kilocodeignore',
  '.kilo/workflows',
  '.kilocode/workflows'
]

/** Those that a worktree has now. */
export async function findSettingsFiles(worktree: string): Promise<string[]> {
  const found = await Promise.all(
    SETTINGS_FILES.map((path) =>
      lstat(join(worktree, path)).then(
        () => [path],
        () => []
      )
    )
  )
  return found.flat()
}
