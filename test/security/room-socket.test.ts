import { connect } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { givenRooms } from '../helpers/rooms/given-rooms.ts'
import { processesWith } from '../helpers/processes.ts'

async function given(t: Test) {
  const rooms = await givenRooms(t, 'bubblewrap')
  return rooms.problem === undefined ? rooms : t.plan(0, rooms.problem)
}

const NODE = '/opt/node/node'

t.test('an agent cannot put a socket of its own in the place of the server’s', async (t) => {
  const rooms = await given(t)
  if (!rooms) return
  const { sh, room } = await rooms.open()
  for (const command of [
    'rm /opt/given/room.sock',
    'ln -sf /tmp/mine /opt/given/room.sock',
    'mv /opt/given/room.sock /opt/given/other',
    'chmod 0 /opt/given/room.sock',
    'touch /opt/given/x'
  ]) {
    t.match(await sh(command), { code: /[^0]/, stderr: /Read-only|not permitted/ }, command)
  }
  t.match(await sh('echo still here'), { stdout: 'still here\n' })
  t.ok(room.pid)
})

t.test('the server ends connections that do not name a purpose with the token', async (t) => {
  const rooms = await given(t)
  if (!rooms) return
  const { sh, given: folder, room } = await rooms.open()
  const dial = async (first: string) => {
    const socket = connect(join(folder, 'room.sock'))
    socket.on('error', () => {})
    socket.write(first)
    return text(socket).catch(() => '')
  }
  t.equal(await dial('{"token":"a guess","for":"control"}\n'), '')
  t.equal(await dial('{"token":"","for":"service","port":1}\n'), '')
  t.equal(await dial('not json\n'), '')
  t.equal(await dial('null\n'), '')
  t.equal(await dial('x'.repeat(100_000)), '', 'a first line without an end')

  await t.test('and a flood of them from inside leaves the room usable', async (t) => {
    const flood = `
      for (let i = 0; i < 2000; i++) require('node:net').connect('/opt/given/room.sock').on('error', () => {})
      setTimeout(() => process.exit(), 1500)
    `
    const running = sh(`${NODE} -e "${flood.replaceAll('\n', ' ')}"`)
    await sleep(500)
    await running
    t.match(await sh('echo usable'), { stdout: 'usable\n' })
    t.equal(room.kind, 'bubblewrap')
  })
})

t.test('a room whose program is ended by the agent ends with it', async (t) => {
  const rooms = await given(t)
  if (!rooms) return
  const { sh, room, marker } = await rooms.open()
  const asleep = await room.spawn({ argv: ['/bin/sleep', '600'], env: {}, cwd: '/' })
  await t.rejects(
    sh('pkill -9 -f /opt/room/room.mjs; sleep 10').then((r) => {
      // The command is killed in the middle: that it ended so is what matters here.
      if (r.signal === 'SIGKILL') throw new Error('killed')
    })
  )
  t.match(await room.exited, { why: /died|killed/ })
  t.match(await asleep.exited, { signal: 'SIGKILL' })
  t.same(await processesWith(marker), [])
  await t.rejects(room.connect(1), /the room has ended/)
})

t.test('garbage on the control stream ends the room', async (t) => {
  const rooms = await given(t)
  if (!rooms) return
  const warnings: string[] = []
  const log = {
    debug: () => {},
    info: () => {},
    error: () => {},
    warn: (_facts: object, message: string) => void warnings.push(message),
    child: () => log
  }
  const { room, sh } = await rooms.open('loud', log)
  // The descriptors of the room's program cannot be written through /proc, so its memory is the only way; that is refused.
  const { stdout } = await sh(
    'pid=$(pgrep -f room.mjs); cat /proc/$pid/mem 2>&1 | head -c 100; ls -l /proc/$pid/fd 2>&1'
  )
  t.notMatch(stdout, /token/)
  await room[Symbol.asyncDispose]()
  t.same(warnings, [])
})
