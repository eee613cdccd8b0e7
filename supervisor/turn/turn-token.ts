import { copyFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

const PLUGIN = 'turn-token.mjs'
const TOKEN = 'turn-token'
const SOURCE = new URL(`../room/inside/${PLUGIN}`, import.meta.url)

/** Gives Kilo the token of a turn, which a plugin sends with each model request; undefined takes it away. */
export type GiveTurnToken = (token: string | undefined) => Promise<void>

/** The address of the plugin in a room that sees the given folder at this path. */
export const turnPlugin = (given: string) => `file://${join(given, PLUGIN)}`

/** Writes the plugin into a folder that the agent sees read-only. No token of an earlier turn is left there. */
export async function writeTurnPlugin(given: string): Promise<GiveTurnToken> {
  const path = join(given, TOKEN)
  const remove = () => rm(path, { force: true })
  await remove()
  await copyFile(SOURCE, join(given, PLUGIN))
  return async (token) => {
    if (token === undefined) return remove()
    // Atomic: a request that begins meanwhile must not read a part of it.
    await writeFile(`${path}.new`, token)
    await rename(`${path}.new`, path)
  }
}
