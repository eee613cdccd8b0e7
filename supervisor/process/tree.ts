import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

/** The environment variable that identifies the processes of one start of one agent. */
export const MARKER = 'KILOWATT_AGENT'

const ROUNDS_MAX = 40
const ROUND_MS = 50

/**
 * Sends a signal. Ignores a process that has exited already, and one that we may not signal: its pid has been reused by
 * another user's process.
 */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if (!['ESRCH', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
  }
}

/** Sends a signal to a whole process group; ignores a pid that leads none. */
export const signalGroup = (pid: number, name: NodeJS.Signals): void => signal(-pid, name)

/** The processes that carry one of these markers, also those that have left their process group or session. */
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

/** Kills every process that carries one of these markers until none is left; resolves with whether that succeeded. */
export const killMarked = (markers: ReadonlySet<string>): Promise<boolean> =>
  killAll(() => findMarked(markers))

/** Kills what this search finds until it finds nothing; resolves with whether that succeeded. */
export async function killAll(find: () => Promise<readonly number[]>): Promise<boolean> {
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const pids = await find()
    if (pids.length === 0) return true
    // A process may have forked between the search and the kill, so search again.
    pids.forEach((pid) => signal(pid, 'SIGKILL'))
    await sleep(round === 0 ? 5 : ROUND_MS)
  }
  return false
}
