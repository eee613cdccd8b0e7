import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

/** The variable by which a process is known as one agent's, and as that of which start of it. */
export const MARKER = 'KILOWATT_AGENT'

const ROUNDS_MAX = 40
const ROUND_MS = 50

/**
 * Sends a signal. A process that is gone already is what we wanted, and one that we may not signal is not ours any more:
 * its number was given to somebody else.
 */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if (!['ESRCH', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
  }
}

/** The same for a whole process group; a process that leads none has none to signal. */
export const signalGroup = (pid: number, name: NodeJS.Signals): void => signal(-pid, name)

/** The processes that were started with one of these markers, wherever they have moved to since. */
export async function findMarked(markers: ReadonlySet<string>): Promise<number[]> {
  const entries = await readdir('/proc').catch(() => [])
  const pids = entries.map(Number).filter((pid) => pid > 0 && pid !== process.pid)

  const marked = await Promise.all(
    pids.map(async (pid) => {
      const environment = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '')
      const value = environment
        .split('\0')
        .find((entry) => entry.startsWith(`${MARKER}=`))
        ?.slice(MARKER.length + 1)
      return value !== undefined && markers.has(value) ? [pid] : []
    })
  )
  return marked.flat()
}

/** Kills everything that carries one of these markers, until a look finds nothing; answers whether it did. */
export async function killMarked(markers: ReadonlySet<string>): Promise<boolean> {
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const pids = await findMarked(markers)
    if (pids.length === 0) return true
    // A process may have forked between the look and the kill, so look again.
    pids.forEach((pid) => signal(pid, 'SIGKILL'))
    await sleep(round === 0 ? 5 : ROUND_MS)
  }
  return false
}

/** The first child of a process, or undefined. */
export async function firstChild(pid: number): Promise<number | undefined> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '')
  const first = children.split(' ').find(Boolean)
  return first === undefined ? undefined : Number(first)
}
