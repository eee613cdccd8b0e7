import { mkdir } from 'node:fs/promises'
import type { Log } from '#kernel/log.ts'
import type { SupervisorOptions } from '../options.ts'
import { createBubblewrapRooms, findBubblewrap } from '../room/bubblewrap-rooms.ts'
import { createPlainRooms } from '../room/plain-room.ts'
import type { RoomKind } from '../room/room.ts'
import { findKilo, findRipgrep, type KiloBinary } from './kilo-binary.ts'

/** What agents run with on this machine. */
export interface Runtime {
  readonly kilo: KiloBinary
  readonly rooms: RoomKind
  /** The program of the rooms' sandbox; undefined for rooms without one. */
  readonly bubblewrap: string | undefined
}

/** Finds Kilo and a way to make rooms for it. Rejects when the requested isolation is not possible here. */
export async function findRuntime(
  options: Pick<SupervisorOptions, 'kiloBin' | 'isolation' | 'bubblewrapFolders' | 'agentsDir'>,
  log: Log
): Promise<Runtime> {
  const kilo = await findKilo(options.kiloBin)
  const ripgrep = await findRipgrep()
  if (!ripgrep) log.warn({}, 'ripgrep is missing: agents cannot search files')
  const plain = { kilo, rooms: createPlainRooms({ kilo, ripgrep }), bubblewrap: undefined }
  if (options.isolation === 'process') return plain

  const { agentsDir } = options
  await mkdir(agentsDir, { recursive: true, mode: 0o700 })
  const bubblewrap = await findBubblewrap({ kilo }, options.bubblewrapFolders)
  const rooms = createBubblewrapRooms({ bubblewrap, kilo, ripgrep, agentsDir })
  const problem = await rooms.problem()
  if (problem === undefined) return { kilo, rooms, bubblewrap }
  if (options.isolation === 'bubblewrap') {
    throw new Error(`ISOLATION: agents cannot be isolated with bubblewrap here: ${problem}`)
  }
  log.warn({ problem }, 'agents run without isolation')
  return plain
}
