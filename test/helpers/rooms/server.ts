import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { silentLog } from '#kernel/log.ts'
import { findKilo } from '../../../supervisor/agent/kilo-binary.ts'
import { folderOf, makeFolder, writeNote } from '../../../supervisor/process/agent-folder.ts'
import { createBubblewrapRooms, findBubblewrap } from '../../../supervisor/room/bubblewrap-rooms.ts'
import { createPlainRooms } from '../../../supervisor/room/plain-room.ts'

/** A server that is going to be killed: opens rooms, each with a daemon and an orphan, reports that, and waits. */
const [folder = '', count = '1', kind = 'bubblewrap'] = process.argv.slice(2)
const kilo = await findKilo(undefined)
const options = { kilo, ripgrep: undefined, agentsDir: folder }
const rooms =
  kind === 'plain'
    ? createPlainRooms(options)
    : createBubblewrapRooms({ ...options, bubblewrap: await findBubblewrap({ kilo }) })
const STUBBORN = `trap '' TERM HUP; (setsid sleep 600 &); (sh -c 'sleep 600 &' &); echo ready; sleep 600`

async function openOne(name: string): Promise<void> {
  const agent = folderOf(folder, name)
  const marker = `${folder}/${name}`
  const worktree = join(folder, name, 'worktree')
  await makeFolder(agent)
  await mkdir(worktree, { recursive: true })
  const shown = kind === 'plain' ? worktree : undefined
  await writeNote(agent, { marker, worktree: shown })
  const { own, given } = agent
  const room = await rooms.open({ worktree, own, given, marker, log: silentLog })
  const argv = ['/bin/bash', '-c', STUBBORN] as const
  const env = { PATH: '/usr/bin:/bin' }
  const started = await room.spawn({ argv: [...argv], env, cwd: room.paths.work })
  await writeNote(agent, { marker, worktree: shown, pid: room.pid ?? started.pid })
  await new Promise((resolve) => started.stdout.once('data', resolve))
}

await Promise.all(Array.from({ length: Number(count) }, (_, at) => openOne(`killed-${at}`)))
process.stdout.write('ready\n')
setInterval(() => {}, 1000)
