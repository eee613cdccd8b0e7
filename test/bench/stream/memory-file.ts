import { readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** In bytes. */
export interface Memory {
  /** What the process has from the system. */
  readonly rss: number
  /** What is still in use after a collection: JavaScript's heap, and buffers. */
  readonly live: number
}

const SETTLE_MS = 500
const ANSWER_MS_MAX = 30_000

/** Where a process with `memory-probe.ts` writes its memory. */
export const memoryFileOf = (pid: number) => join(tmpdir(), `kilowatt-memory-${pid}.json`)

/** Asks a process for its memory. Throws when it does not answer. */
export async function memoryOf(pid: number): Promise<Memory> {
  const file = memoryFileOf(pid)
  // What has just been closed is not all gone yet.
  await sleep(SETTLE_MS)
  process.kill(pid, 'SIGUSR2')
  for (const deadline = Date.now() + ANSWER_MS_MAX; Date.now() < deadline;) {
    const text = await readFile(file, 'utf8').catch(() => '')
    if (text.endsWith('}')) {
      await rm(file)
      return JSON.parse(text) as Memory
    }
    await sleep(20)
  }
  throw new Error(`the process ${pid} did not write its memory to ${file}: it may be gone`)
}
