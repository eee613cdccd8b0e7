import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

/** Its settings are those of the server. */
const SETTINGS = 'own-settings.mjs'
/** Its tools follow no link out of the worktree. A room needs no such rule: there is nothing of others in it. */
const WORKTREE = 'own-worktree.mjs'

/** Writes the plugins that keep Kilo apart from the repository into a folder that the agent sees read-only. */
export async function writeOwnPlugins(given: string): Promise<void> {
  for (const name of [SETTINGS, WORKTREE]) {
    await copyFile(join(import.meta.dirname, 'inside', name), join(given, name))
  }
}

/** Their addresses for a Kilo that sees the folder at this path. */
export const ownPlugins = (given: string, isolated: boolean): string[] =>
  (isolated ? [SETTINGS] : [SETTINGS, WORKTREE]).map(
    (name) => pathToFileURL(join(given, name)).href
  )
