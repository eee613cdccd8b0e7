import { chmod, lstat, mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * Creates a folder that only this user can enter (0700), or closes an existing one to others. Rejects with the file
 * system's error, also when the folder belongs to another user and others can enter it.
 */
export async function makePrivateFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 })
  await removeRightsOfOthers(path)
}

/** Takes the rights of other users from a folder and everything below it. Follows no symbolic link. */
export async function makeTreePrivate(path: string): Promise<void> {
  await removeRightsOfOthers(path)
  const entries = await readdir(path, { recursive: true, withFileTypes: true })
  for (const entry of entries) {
    if (entry.isFile() || entry.isDirectory())
      await removeRightsOfOthers(join(entry.parentPath, entry.name))
  }
}

async function removeRightsOfOthers(path: string): Promise<void> {
  const { mode } = await lstat(path)
  if ((mode & 0o077) !== 0) await chmod(path, mode & 0o700)
}
