import type { Test } from 'tap'
import { createRetention, type Retention } from '#events'
import { systemClock } from '#kernel/clock.ts'
import type { Draft } from '#kernel/frames.ts'
import type { JobId, ProjectId } from '#kernel/ids.ts'
import { silentLog } from '#kernel/log.ts'
import { givenDoors, type Doors, type Person } from '../given-doors.ts'
import { listen, type Socket } from './given-socket.ts'

const DAY_MS = 24 * 60 * 60 * 1000

export const bearer = ({ key }: Person) => ({ headers: { authorization: `Bearer ${key}` } })

export const piece = (text: string): Draft => ({
  type: 'job:log',
  data: { source: 'assistant', partId: 'p', text }
})

export interface History {
  readonly doors: Doors
  readonly ada: Person
  readonly id: ProjectId
  readonly url: string
  /** Appends so many frames of this text, in batches. */
  write(count: number, text?: string, ofJob?: JobId | null): Promise<void>
  /** Makes everything so far two days old, and removes what is older than a day. */
  sweep(): Promise<number>
}

/** A listening product with one project and so many frames of its history. */
export async function givenHistory(
  t: Test,
  frames: number,
  more: Parameters<typeof givenDoors>[1] = {}
): Promise<History> {
  const doors = await givenDoors(t, more)
  const ada = await doors.person()
  const id = (await ada.project()) as ProjectId
  const url = await listen(doors.app)
  const retention = retentionOf(doors)
  t.teardown(() => retention[Symbol.asyncDispose]())
  const history: History = {
    ...{ doors, ada, id, url },
    async write(count, text = 'x', jobId = null) {
      for (let left = count; left > 0; left -= 100) {
        const drafts = Array.from({ length: Math.min(left, 100) }, () => piece(text))
        await doors.events.record({ projectId: id, jobId }, drafts)
      }
    },
    async sweep() {
      const created_at = new Date(Date.now() - 2 * DAY_MS)
      await doors.db.updateTable('project_events').set({ created_at }).execute()
      return retention.sweep()
    }
  }
  await history.write(frames)
  return history
}

const retentionOf = ({ db }: Doors): Retention =>
  createRetention({ db, clock: systemClock, log: silentLog, keepMs: DAY_MS })

export const seqsOf = (socket: Socket) =>
  socket.seen.flatMap(({ seq }) => (seq === undefined ? [] : [seq]))

export const range = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, n) => from + n)

/** Waits until a socket has seen this frame; answers the numbers of all. */
export async function until(socket: Socket, seq: number): Promise<number[]> {
  while (!socket.seen.some((message) => message.seq === seq)) await socket.next()
  return seqsOf(socket)
}
