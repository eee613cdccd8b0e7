import { setTimeout as sleep } from 'node:timers/promises'
import type { Clock } from '#kernel/clock.ts'
import { birthOf } from '#kernel/machine/process-birth.ts'
import type { Log } from '#kernel/log.ts'
import { signal } from './tree.ts'

export interface Strays {
  /** Kills what turns have left running. Resolves with false when processes are still left after 2 s. */
  end(): Promise<boolean>
}

const ROUND_MS = 5
const TIMEOUT_MS = 2000
/** A process that replaces itself all the time is missed by a single search now and then. */
const EMPTY_SEARCHES = 3

/**
 * A turn leaves no process behind: what its commands have started, in the background or in a session of their own,
 * would write into the work of the next job and spend its credits.
 *
 * The room's processes at this moment, before its first turn, are the room's own and Kilo; every later one is a stray
 * when the turn has ended. The server lists the processes itself, because an agent can impersonate the room's program.
 * A process is identified by its pid and its start time, since pids are reused.
 */
export async function watchStrays(
  room: { processes(): Promise<readonly number[]> },
  { clock, log }: { readonly clock: Pick<Clock, 'monotonicMs'>; readonly log: Log }
): Promise<Strays> {
  const list = async () => (await room.processes()).map((pid) => ({ pid, born: birthOf(pid) }))
  const nameOf = ({ pid, born }: { pid: number; born: string | undefined }) => `${pid} ${born}`
  const own = new Set((await list()).map(nameOf))

  return {
    async end() {
      const killed = new Set<string>()
      const deadlineMs = clock.monotonicMs() + TIMEOUT_MS
      for (let empty = 0; empty < (killed.size > 0 ? EMPTY_SEARCHES : 1);) {
        if (clock.monotonicMs() > deadlineMs) {
          log.error({ killed: killed.size }, 'processes of a turn cannot be ended')
          return false
        }
        const strays = (await list()).filter((process) => process.born && !own.has(nameOf(process)))
        for (const stray of strays) {
          killed.add(nameOf(stray))
          signal(stray.pid, 'SIGKILL')
        }
        empty = strays.length === 0 ? empty + 1 : 0
        // A process may have forked between the search and the kill, so search again.
        if (killed.size > 0) await sleep(ROUND_MS)
      }
      if (killed.size > 0) log.warn({ killed: killed.size }, 'processes of a turn were ended')
      return true
    }
  }
}
