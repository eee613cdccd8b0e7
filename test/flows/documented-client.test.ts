import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { checkClient, REPLAY_KILO, replay, sampleFrames, startFrameServer } from '#fixtures'
import { isTerminalFrame, type Frame } from '#kernel/frames.ts'
import { clientCommand, documentedClient } from '../helpers/documented-client.ts'
import { inTime } from '../helpers/patience.ts'
import { givenProject, startProduct } from '../helpers/product.ts'

const LINES_MAX = 40

interface Client {
  follow(options: {
    url: string
    key: string
    projectId: string
    onFrame: (frame: Frame) => void
    onSnapshot?: (snapshot: unknown) => void
    onEnd?: (why: string) => void
    silenceMs?: number
  }): () => void
}

const load = async (code: string) =>
  (await import(`data:text/javascript,${encodeURIComponent(code)}`)) as Client

t.test('the client of docs/protocol.md misses nothing, also when its line is cut', async (t) => {
  const code = await documentedClient()
  t.ok(code.trimEnd().split('\n').length <= LINES_MAX, 'it fits on a page')
  const { follow } = await load(code)

  const sockets: WebSocket[] = []
  const Original = globalThis.WebSocket
  t.teardown(() => (globalThis.WebSocket = Original))
  globalThis.WebSocket = class extends Original {
    constructor(...args: ConstructorParameters<typeof WebSocket>) {
      super(...args)
      sockets.push(this)
    }
  }

  const product = await startProduct(t, { env: { KILO_BIN: REPLAY_KILO, ISOLATION: 'process' } })
  const user = await product.user()
  const project = await givenProject(user)
  const ready = Promise.withResolvers<void>()
  const over = Promise.withResolvers<void>()
  const frames: Frame[] = []
  let isCut = false
  const stop = follow({
    url: product.url,
    key: user.key,
    projectId: project.id,
    onSnapshot: () => ready.resolve(),
    onFrame: (frame) => {
      frames.push(frame)
      if (frame.type === 'job:log' && !isCut) {
        isCut = true
        sockets.at(-1)?.close()
      }
      if (isTerminalFrame(frame)) over.resolve()
    }
  })
  t.teardown(stop)
  await ready.promise

  const burst = { tools: 40, texts: 20, piecesPerText: 4, perSecond: 60 }
  const jobId = await project.submit(replay('burst', burst))
  await inTime(over.promise, 'the end of the job')
  stop()

  t.ok(sockets.length > 1, 'it came back')
  const first = frames[0]?.seq ?? 0
  t.same(
    frames.map(({ seq }) => seq),
    frames.map((_, index) => first + index),
    'without a gap, and nothing twice'
  )
  const story = await project.story(jobId)
  t.same(frames, story.frames, 'and what it saw is the history')

  await t.test('it stops with the reason when a reconnect cannot help', async (t) => {
    const reasonFor = (projectId: string, key: string) =>
      new Promise<string>((onEnd) => {
        t.teardown(follow({ url: product.url, key, projectId, onFrame: () => {}, onEnd }))
      })
    t.match(await reasonFor(project.id, 'kw_unknown'), /key/i)
    t.match(await reasonFor('prj_01ARZ3NDEKTSV4RRFFQ69G5FAV', user.key), /project/i)
  })
})

t.test(
  'it survives refusals, restarts, repeated frames, unknown frame types and a resync',
  async (t) => {
    const command = await clientCommand(t, await documentedClient())
    const results = await checkClient({ command })
    t.ok(results.length > 0)
    t.same(
      results.filter(({ outcome }) => outcome !== 'pass'),
      []
    )
  }
)

t.test('it notices a connection that died without a close', async (t) => {
  const { follow } = await load(await documentedClient())
  const frames = sampleFrames(60)
  await using server = await startFrameServer({ frames, everyMs: 20, heartbeatMs: 100 })
  const proxy = await startProxy(t, new URL(server.url))
  const seen: (number | undefined)[] = []
  const all = Promise.withResolvers<void>()
  const silenceMs = 2000
  const stop = follow({
    ...{ url: proxy.url, key: server.key, projectId: server.projectId, silenceMs },
    onFrame({ seq }) {
      seen.push(seq)
      if (seen.length === 5) proxy.fallSilent()
      if (seq === frames.at(-1)?.seq) all.resolve()
    }
  })
  t.teardown(stop)
  await inTime(all.promise, 'the rest, over another connection')
  t.same(
    seen,
    frames.map(({ seq }) => seq)
  )
  t.ok(proxy.fellSilent(), 'the first one was dead')
})

/** Forwards all bytes until `fallSilent`: then its connections stay open and carry nothing more. */
async function startProxy(t: Test, target: URL) {
  const pairs: [Socket, Socket][] = []
  const proxy = createServer((near) => {
    const far = connect(Number(target.port), target.hostname)
    pairs.push([near.pipe(far).pipe(near), far])
    for (const socket of [near, far]) socket.on('error', () => {})
  })
  await once(proxy.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => {
    pairs.flat().forEach((socket) => socket.destroy())
    proxy.close()
  })
  let silenced = 0
  return {
    url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    fallSilent() {
      silenced = pairs.length
      for (const [near, far] of pairs) {
        near.unpipe(far)
        far.unpipe(near)
      }
    },
    fellSilent: () => silenced > 0 && pairs.length > silenced
  }
}
