import { createHash, randomUUID } from 'node:crypto'
import { mkdir, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { constants, deflate } from 'node:zlib'

const compress = promisify(deflate)

/**
 * Puts a file's bytes or a commit into git's store, and answers its id. Git has a command for it; this saves every
 * job and every save a process, and the form of an object is the one thing of git's that can never change.
 */
export async function writeObject(repo: string, kind: 'blob' | 'commit', body: Buffer) {
  const whole = Buffer.concat([Buffer.from(`${kind} ${body.length}\0`), body])
  const id = createHash('sha1').update(whole).digest('hex')
  const folder = join(repo, 'objects', id.slice(0, 2))
  const path = join(folder, id.slice(2))
  if (await exists(path)) return id

  await mkdir(folder, { recursive: true })
  // Under a name that git clears away when a crash leaves it.
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
