import { readFileSync } from 'node:fs'
import { open, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'

/** Field 22 of /proc/<pid>/stat: when the process started, so that a reused pid is not taken for it. */
function startOf(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[19]
  } catch {
    return undefined
  }
}

function isRunning(owner: string): boolean {
  const [pid, start] = owner.trim().split(' ')
  if (start !== undefined && start !== '-') return startOf(Number(pid)) === start
  try {
    process.kill(Number(pid), 0)
    return true
  } catch {
    return false
  }
}

/**
 * One process owns a data folder: a second PGlite on the same files would lose rows without an error.
 * A lock that a dead process left behind is taken over at once.
 */
export async function lockDataDir(dataDir: string): Promise<AsyncDisposable> {
  const path = join(dataDir, 'lock')
  const owner = `${process.pid} ${startOf(process.pid) ?? '-'}`

  for (let attempt = 0; attempt < 3; attempt += 1) {
    try {
      const file = await open(path, 'wx', 0o600)
      await file.writeFile(owner)
      await file.close()
      return { [Symbol.asyncDispose]: () => rm(path, { force: true }) }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    const other = await readFile(path, 'utf8').catch(() => '')
    if (other && isRunning(other)) {
      throw new Error(`DATA_DIR ${dataDir} is in use by process ${other.split(' ')[0]}`)
    }
    await rm(path, { force: true })
  }
  throw new Error(`DATA_DIR ${dataDir} is being opened by another process`)
}
