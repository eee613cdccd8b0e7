import { tmpdir } from 'node:os'
import { findKilo } from '../../../supervisor/agent/kilo-binary.ts'
import { createBubblewrapRooms, findBubblewrap } from '../../../supervisor/room/bubblewrap-rooms.ts'

async function findUsable(): Promise<string | undefined> {
  const kilo = await findKilo(undefined).catch(() => undefined)
  const bubblewrap = kilo && (await findBubblewrap({ kilo }))
  if (!kilo) return undefined
  const programs = { kilo, ripgrep: undefined, bubblewrap }
  const rooms = createBubblewrapRooms({ ...programs, agentsDir: tmpdir() })
  return (await rooms.problem()) === undefined ? bubblewrap : undefined
}

/** The bwrap that agents run in; undefined where none can be used. */
export const usableBubblewrap = await findUsable()
