import { link, mkdir, open, readFile, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { newApiKey, newSecret } from './keys.ts'

export interface AdminKey {
  readonly key: string
  /** The file that holds it; null when the key was given in the settings. */
  readonly path: string | null
  /** True for the start that created it. */
  readonly isNew: boolean
}

/**
 * The operator's key: the given one, else the one that the first start created and stored in a file with mode 0600.
 * Servers that start concurrently on one folder get the same key.
 */
export async function loadOrCreateAdminKey(dataDir: string, given?: string): Promise<AdminKey> {
  if (given) return { key: given, path: null, isNew: false }

  const path = join(dataDir, 'admin-key')
  const kept = await readKey(path)
  if (kept) return { key: kept, path, isNew: false }

  await mkdir(dataDir, { recursive: true })
  await writeOnce(path, newApiKey())
  const key = await readKey(path)
  if (!key) throw new Error(`the admin key in ${path} is empty: delete the file to get a new one`)
  return { key, path, isNew: true }
}

async function readKey(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, 'utf8')).trim()
  } catch (err) {
    if (hasCode(err, 'ENOENT')) return undefined
    throw err
  }
}

/** Creates the file with its content in one step; an existing file stays as it is. */
async function writeOnce(path: string, key: string): Promise<void> {
  const draft = `${path}.${newSecret()}`
  const file = await open(draft, 'wx', 0o600)
  try {
    await file.writeFile(`${key}\n`)
    await file.sync()
    await link(draft, path)
  } catch (err) {
    if (!hasCode(err, 'EEXIST')) throw err
  } finally {
    await file.close()
    await unlink(draft)
  }
}

const hasCode = (err: unknown, code: string) =>
  err instanceof Error && 'code' in err && err.code === code
