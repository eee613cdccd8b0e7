import { randomUUID } from 'node:crypto'
import { link, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { birthOf } from '#kernel/process-birth.ts'

/** On another machine (or in another container) a process cannot be looked at; a live owner touches its lock. */
const TOUCH_EVERY_MS = 5000
const STALE_AFTER_MS = 4 * TOUCH_EVERY_MS

/**
 * One process owns a data folder: a second PGlite on the same files would lose rows without an error.
 * A lock that a dead process left behind is taken over at once, one of another machine after 20 s of silence.
 */
export async function lockDataDir(dataDir: string): Promise<AsyncDisposable> {
  const path = join(dataDir, 'lock')
  const owner = `${process.pid} ${birthOf(process.pid) ?? '-'} ${hostname()}`

  while (!(await take(path, owner))) {
    const holder = await readFile(path, 'utf8').catch(() => undefined)
    if (holder === undefined) continue
    if (await isAlive(path, holder)) {
      throw new Error(`DATA_DIR ${dataDir} is in use by process ${holder.split(' ')[0]}`)
    }
    await clear(path, holder)
  }

  const touching = setInterval(() => void utimes(path, new Date(), new Date()), TOUCH_EVERY_MS)
  touching.unref()
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(touching)
      await rm(path, { force: true })
    }
  }
}

/** The lock appears with its owner's name in it, or not at all. */
async function take(path: string, owner: string): Promise<boolean> {
  const draft = `${path}.${randomUUID()}`
  await writeFile(draft, owner, { mode: 0o600 })
  try {
    await link(draft, path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    await rm(draft, { force: true })
  }
}

async function isAlive(path: string, holder: string): Promise<boolean> {
  const [pid, birth, host] = holder.split(' ')
  if (host === hostname()) return birthOf(Number(pid)) === birth
  const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: 0 }))
  return Date.now() - mtimeMs < STALE_AFTER_MS
}

/** Takes a dead holder's lock away. Of two that find it, only one can rename it; a lock made meanwhile goes back. */
async function clear(path: string, holder: string): Promise<void> {
  const aside = `${path}.${randomUUID()}`
  try {
    await rename(path, aside)
  } catch {
    return
  }
  if ((await readFile(aside, 'utf8')) !== holder) await link(aside, path).catch(() => {})
  await rm(aside, { force: true })
}
