import { chmodSync, lstatSync, readdirSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * Creates a folder that only this user can enter (0700), or closes an existing one to others. Rejects with the file
 * system's error, also when the folder belongs to another user and others can enter it.
 */
export async function makePrivateFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 })
  removeRightsOfOthers(path)
}

/**
 * Takes the rights of other users from a folder and everything below it. Follows no symbolic link. Synchronous, for the
 * start of a server: a thousand files take 13 ms, and 200 ms and more through the thread pool.
 */
export function makeTreePrivate(path: string): void {
  removeRightsOfOthers(path)
  for (const entry of readdirSync(path, { recursive: true, withFileTypes: true })) {
    if (entry.isFile() || entry.isDirectory())
      removeRightsOfOthers(join(entry.parentPath, entry.name))
  }
}

function removeRightsOfOthers(path: string): void {
  const { mode } = lstatSync(path)
  if ((mode & 0o077) !== 0) chmodSync(path, mode & 0o700)
}
