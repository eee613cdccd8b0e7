import { createHash, randomUUID } from 'node:crypto'
import { mkdir, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { constants, deflate } from 'node:zlib'

const compress = promisify(deflate)

/**
 * Writes a blob or a commit into git's object store and returns its id. `git hash-object` does the same;
 * writing the file here saves one process for every save and job, and git's object format is stable.
 */
export async function writeObject(repo: string, kind: 'blob' | 'commit', body: Buffer) {
  const whole = Buffer.concat([Buffer.from(`${kind} ${body.length}\0`), body])
  const id = createHash('sha1').update(whole).digest('hex')
  const folder = join(repo, 'objects', id.slice(0, 2))
  const path = join(folder, id.slice(2))
  if (await exists(path)) return id

  await mkdir(folder, { recursive: true })
  // git's garbage collection removes stale files with this prefix.
  const temporary = join(folder, `tmp_obj_${randomUUID()}`)
  const packed = await compress(whole, { level: constants.Z_BEST_SPEED })
  await writeFile(temporary, packed, { mode: 0o444, flag: 'wx' })
  await rename(temporary, path)
  return id
}

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false
  )
