import t from 'tap'
import { givenDoors } from '../../src/http/given-doors.ts'
import { listen } from '../../src/http/stream/given-socket.ts'
import { openRaw } from './wire.ts'

const STOP_MS_MAX = 5000

t.test('connections without a request do not hold a server that stops', async (t) => {
  const { app } = await givenDoors(t)
  const url = await listen(app)
  const silent = await openRaw(url, (end) => t.teardown(end))
  const halfway = await openRaw(url, (end) => t.teardown(end))
  halfway.write('GET /livez HTTP/1.1\r\nHost: ')
  const answered = await openRaw(url, (end) => t.teardown(end))
  answered.write('GET /livez HTTP/1.1\r\nHost: x\r\n\r\n')
  while (!answered.received().includes('200')) await new Promise((next) => setImmediate(next))

  const stopping = performance.now()
  await app.close()
  t.ok(performance.now() - stopping < STOP_MS_MAX, 'it has stopped')
  for (const connection of [silent, halfway, answered]) t.ok(await connection.closed(1000))
})
