import type { Readable } from 'node:stream'
import { within } from '#kernel/waiting.ts'
import { ROOM_LIMITS } from './room-limits.ts'
import type { Room, RoomCommand, RunLimits, RunResult } from './room.ts'

/** Runs a command in a room to its end. Its output and its time are bounded: beyond, its process group is killed. */
export async function runCommand(
  room: Pick<Room, 'spawn'>,
  command: RoomCommand,
  { timeoutMs, outputBytes }: RunLimits
): Promise<RunResult> {
  const running = await room.spawn(command)
  let cut: RunResult['cut']
  const stop = (why: NonNullable<RunResult['cut']>) => {
    cut ??= why
    void running.signal('SIGKILL', 'group').catch(() => {})
  }
  const timer = setTimeout(() => stop('time'), timeoutMs)
  let left = outputBytes
  const collect = (stream: Readable) => {
    const chunks: Buffer[] = []
    stream.on('data', (chunk: Buffer) => {
      if (left > 0) chunks.push(chunk.subarray(0, left))
      left -= chunk.length
      if (left < 0) stop('bytes')
    })
    stream.on('error', () => {})
    return { text: () => Buffer.concat(chunks).toString(), ended: ended(stream) }
  }
  const [stdout, stderr] = [collect(running.stdout), collect(running.stderr)]
  const exit = await running.exited
  clearTimeout(timer)
  // A process that the command left in the background may hold its output open.
  await within(Promise.all([stdout.ended, stderr.ended]), ROOM_LIMITS.outputEndMs)
  return { code: exit.code, signal: exit.signal, cut, stdout: stdout.text(), stderr: stderr.text() }
}

/** Resolves when a stream has ended or broken. */
export const ended = (stream: Readable): Promise<void> =>
  new Promise((resolve) => {
    if (stream.closed || stream.readableEnded) return resolve()
    for (const event of ['end', 'close', 'error']) stream.once(event, () => resolve())
  })

/** The seam for terminals: no kind of room has them yet. */
export const noTerminals = (): Promise<never> =>
  Promise.reject(new Error('rooms have no terminals yet: start the command with pipes'))
