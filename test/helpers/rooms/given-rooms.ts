import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLog, type Log } from '#kernel/log.ts'
import { findKilo, findRipgrep } from '../../../supervisor/agent/kilo-binary.ts'
import type { ProcessLimits } from '../../../supervisor/process/process-limits.ts'
import { createBubblewrapRooms, findBubblewrap } from '../../../supervisor/room/bubblewrap-rooms.ts'
import { createPlainRooms } from '../../../supervisor/room/plain-room.ts'
import type { Room, RoomKind, RunResult } from '../../../supervisor/room/room.ts'

interface Teardown {
  teardown(end: () => PromiseLike<unknown>): void
}

export const ENV = { PATH: '/usr/local/bin:/usr/bin:/bin', LANG: 'C.UTF-8' }

export interface GivenRooms {
  readonly folder: string
  readonly rooms: RoomKind
  /** Undefined when rooms of this kind can be made here. */
  readonly problem: string | undefined
  open(name?: string, log?: Log, limits?: ProcessLimits): Promise<GivenRoom>
}

export interface GivenRoom {
  readonly room: Room
  readonly marker: string
  readonly worktree: string
  readonly own: string
  readonly given: string
  /** Runs a shell command in the worktree. */
  sh(command: string): Promise<RunResult>
}

/** Rooms of this kind, in a folder of their own; everything is ended and removed after the test. */
export async function givenRooms(t: Teardown, kind: 'bubblewrap' | 'plain'): Promise<GivenRooms> {
  const folder = await mkdtemp(join(tmpdir(), 'kilowatt-rooms-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const programs = { kilo: await findKilo(undefined), ripgrep: await findRipgrep() }
  const bubblewrap = await findBubblewrap(programs)
  const rooms =
    kind === 'plain'
      ? createPlainRooms(programs)
      : createBubblewrapRooms({ ...programs, bubblewrap, agentsDir: folder })
  let last = 0

  return {
    folder,
    rooms,
    problem: await rooms.problem(),
    async open(name = `room-${(last += 1)}`, log = silentLog, limits) {
      const marker = `${folder}-${name}`
      const plan = {
        worktree: join(folder, name, 'worktree'),
        own: join(folder, name, 'own'),
        given: join(folder, name, 'given')
      }
      for (const path of Object.values(plan)) await mkdir(path, { recursive: true })
      const room = await rooms.open({ ...plan, marker, log, limits })
      t.teardown(() => room[Symbol.asyncDispose]())
      const sh = (command: string) =>
        room.run(
          { argv: ['/bin/bash', '-c', command], env: ENV, cwd: room.paths.work },
          { timeoutMs: 30_000, outputBytes: 1_000_000 }
        )
      return { ...plan, room, marker, sh }
    }
  }
}

/** The open descriptors of this process. */
export const descriptorsOpen = async () => (await readdir('/proc/self/fd')).length
