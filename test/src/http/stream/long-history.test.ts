import t from 'tap'
import { LIMITS } from '#kernel/limits.ts'
import { bearer, givenHistory, range, seqsOf, until } from './given-history.ts'
import { openSocket } from './given-socket.ts'

const MIB = 1024 * 1024

/** The most that ever waited for a reader, in bytes, as seen from the server's side of its sockets. */
function watchWaiting(sockets: ReadonlySet<{ bufferedAmount: number }>) {
  let most = 0
  const timer = setInterval(() => {
    for (const { bufferedAmount } of sockets) most = Math.max(most, bufferedAmount)
  }, 1)
  return {
    most: () => most,
    [Symbol.dispose]: () => clearInterval(timer)
  }
}

t.test('ten thousand frames come in order, while more are written', async (t) => {
  const { doors, ada, id, url, write } = await givenHistory(t, 0)
  await write(10_000, 'x'.repeat(300))
  using waiting = watchWaiting(doors.app.websocketServer.clients)
  const socket = await openSocket(t, url, bearer(ada))
  socket.say({ type: 'subscribe', projectId: id, after: 0 })

  for (let n = 0; n < 20; n += 1) await write(10)
  await until(socket, 10_200)
  t.same(seqsOf(socket), range(1, 10_200))
  t.equal(socket.seen.filter(({ type }) => type === 'resync').length, 0)
  t.ok(
    waiting.most() <= LIMITS.socketBufferBytesMax + MIB,
    `${waiting.most()} bytes waited at the most`
  )
})

t.test('who reads slowly, but reads, is not sent away', async (t) => {
  const frames = 60
  const { doors, ada, id, url, write } = await givenHistory(t, 0, { timings: { stallMs: 3000 } })
  await write(frames, 'x'.repeat(200_000))
  using waiting = watchWaiting(doors.app.websocketServer.clients)
  const socket = await openSocket(t, url, bearer(ada))
  socket.say({ type: 'subscribe', projectId: id, after: 0 })
  await socket.next('snapshot')

  const pauses = 12
  for (let n = 0; n < pauses; n += 1) {
    socket.ws.pause()
    await new Promise((resolve) => setTimeout(resolve, 400))
    socket.ws.resume()
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  await until(socket, frames)
  t.same(seqsOf(socket), range(1, frames), 'in longer than a stall may take')
  t.ok(waiting.most() <= LIMITS.socketBufferBytesMax + MIB, `${waiting.most()} bytes waited`)
})
