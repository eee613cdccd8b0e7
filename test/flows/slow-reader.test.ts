import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import t from 'tap'
import { WebSocket } from 'ws'
import { replay } from '#fixtures'
import { isTerminalFrame, SUBPROTOCOL, type Frame } from '#kernel/frames.ts'
import { readLog } from '../helpers/log.ts'
import { inTime } from '../helpers/patience.ts'
import { givenProject } from '../helpers/product.ts'
import { startServer } from '../helpers/server-process.ts'

const TOOLS = 1000
const OUTPUT_CHARS = 24_000
/** What the burst itself takes on its way, several times over; all that waits for a slow reader would come on top. */
const GROWN_MIB_MAX = 300

t.test('a client that reads nothing is closed with 1013, and delays no other client', async (t) => {
  await using server = await startServer()
  const client = await server.user()
  const project = await givenProject(client)
  const open = async (after: number) => {
    const frames: Frame[] = []
    const over = Promise.withResolvers<void>()
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/ws`, SUBPROTOCOL, {
      headers: { authorization: `Bearer ${client.key}` }
    })
    socket.on('message', (data: Buffer) => {
      const frame = JSON.parse(data.toString()) as Frame
      if (frame.seq !== undefined) frames.push(frame)
      if (frame.seq !== undefined && isTerminalFrame(frame)) over.resolve()
    })
    const closed = once(socket, 'close').then(([code]) => code as number)
    await once(socket, 'open')
    socket.send(JSON.stringify({ type: 'subscribe', projectId: project.id, after }))
    return { socket, frames, over: over.promise, closed }
  }

  const fast = await open(0)
  const slow = await open(0)
  await once(slow.socket, 'message')
  slow.socket.pause()

  const before = await residentMib(server.pid)
  let most = before
  const look = async () => void (most = Math.max(most, await residentMib(server.pid)))
  const looking = setInterval(() => void look(), 100)
  const jobId = await project.submit(replay('burst', { tools: TOOLS, chars: OUTPUT_CHARS }))
  await inTime(fast.over, 'the end of the burst')
  t.equal((await project.story(jobId)).last.type, 'job:success')
  // It has seconds to take something; then whatever was sent before is read, and why there is no more.
  await new Promise((resolve) => setTimeout(resolve, 4000))
  clearInterval(looking)
  slow.socket.resume()

  // On a machine so slow that the close has waited for half a minute to be read, the connection is gone instead.
  t.ok([1013, 1006].includes(await inTime(slow.closed, 'the close')))
  const log = await readLog(project)
  const seqs = (frames: readonly Frame[]) => frames.map(({ seq }) => seq)
  t.ok(log.length >= 2 * TOOLS)
  t.same(seqs(fast.frames), seqs(log), 'the fast one had everything')
  t.ok(slow.frames.length < log.length, `the slow one had ${slow.frames.length} of ${log.length}`)

  const again = await open(slow.frames.at(-1)?.seq ?? 0)
  await inTime(again.over, 'the rest')
  t.same(seqs([...slow.frames, ...again.frames]), seqs(log), 'and comes back for the rest')
  t.comment(`the server had ${before.toFixed(0)} MiB, and ${most.toFixed(0)} at most`)
  t.ok(most - before < GROWN_MIB_MAX, 'what waits is bounded')
})

async function residentMib(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1024
}
