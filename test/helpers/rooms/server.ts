import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { silentLog } from '#kernel/log.ts'
import { findKilo } from '../../../supervisor/agent/kilo-binary.ts'
import { createBubblewrapRooms, findBubblewrap } from '../../../supervisor/room/bubblewrap-rooms.ts'

/** A server that is going to be killed: opens rooms, each with a daemon and an orphan, says so, and waits. */
const [folder = '', count = '1'] = process.argv.slice(2)
const kilo = await findKilo(undefined)
const options = { kilo, ripgrep: undefined, agentsDir: folder }
const rooms = createBubblewrapRooms({ ...options, bubblewrap: await findBubblewrap({ kilo }) })
const STUBBORN = `trap '' TERM HUP; (setsid sleep 600 &); (sh -c 'sleep 600 &' &); echo ready; sleep 600`

for (let at = 0; at < Number(count); at++) {
  const plan = {
    worktree: join(folder, `killed-${at}`, 'worktree'),
    own: join(folder, `killed-${at}`, 'own'),
    given: join(folder, `killed-${at}`, 'given')
  }
  for (const path of Object.values(plan)) await mkdir(path, { recursive: true })
  const room = await rooms.open({ ...plan, marker: `${folder}/killed-${at}`, log: silentLog })
  const argv = ['/bin/bash', '-c', STUBBORN] as const
  const started = await room.spawn({
    argv: [...argv],
    env: { PATH: '/usr/bin:/bin' },
    cwd: '/work'
  })
  await new Promise((resolve) => started.stdout.once('data', resolve))
}
process.stdout.write('ready\n')
setInterval(() => {}, 1000)
