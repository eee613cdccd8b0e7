import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

export interface Process {
  readonly pid: number
  readonly parent: number
  readonly command: string
  readonly environment: string
  /** What its mount namespace shows: for a process in a room, the project's folders of this machine. */
  readonly mounts: string
}

const PATIENCE_MS = 30_000

/** Every other process of this machine that may be looked at. */
export async function allProcesses(): Promise<Process[]> {
  const pids = (await readdir('/proc')).map(Number).filter((pid) => pid > 0 && pid !== process.pid)
  const read = (pid: number, name: string) =>
    readFile(`/proc/${pid}/${name}`, 'latin1').catch(() => '')
  return Promise.all(
    pids.map(async (pid) => ({
      pid,
      parent: Number(/\) \S (\d+)/.exec(await read(pid, 'stat'))?.[1]),
      command: await read(pid, 'cmdline'),
      environment: await read(pid, 'environ'),
      mounts: await read(pid, 'mountinfo')
    }))
  )
}

/** Those whose command line, environment or mounts have this text. */
export const processesOf = async (text: string): Promise<Process[]> =>
  (await allProcesses()).filter(
    ({ command, environment, mounts }) =>
      command.includes(text) || environment.includes(text) || mounts.includes(text)
  )

export const processesWith = async (text: string): Promise<number[]> =>
  (await processesOf(text)).map(({ pid }) => pid)

/** Those that this one has started, directly or not. */
export async function descendants(): Promise<Process[]> {
  const all = await allProcesses()
  const parents = new Map(all.map(({ pid, parent }) => [pid, parent]))
  const isOurs = (pid: number): boolean => {
    const parent = parents.get(pid)
    return parent !== undefined && (parent === process.pid || isOurs(parent))
  }
  return all.filter(({ pid }) => isOurs(pid))
}

/** Ends a process as a crash does. It may be gone already: with its parent, for one. */
export function crash(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** What was killed takes a moment to be gone. */
export async function untilGone(text: string): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS
  for (;;) {
    const pids = await processesWith(text)
    if (pids.length === 0) return
    if (Date.now() > deadline) throw new Error(`still there: ${pids.join()}`)
    await sleep(50)
  }
}
