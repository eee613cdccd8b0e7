import t from 'tap'
import { checkClient, script } from '#fixtures'
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

  const product = await startProduct(t)
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

  const say = 'one word after the other '.repeat(8)
  const jobId = await project.submit(script({ say, chunkMs: 100 }))
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
})

t.test('it survives a bad day: refusals, restarts, repeats, strange words, a resync', async (t) => {
  const command = await clientCommand(t, await documentedClient())
  const verdicts = await checkClient({ command })
  t.ok(verdicts.length > 0)
  t.same(
    verdicts.filter(({ outcome }) => outcome !== 'pass'),
    []
  )
})

t.test('it stops, and says why, when coming back would not help', async (t) => {
  const { follow } = await load(await documentedClient())
  const product = await startProduct(t)
  const { key, ...client } = await product.user()
  const project = await givenProject({ key, ...client })
  const told = (projectId: string, its: string) =>
    new Promise<string>((onEnd) => {
      t.teardown(follow({ url: product.url, key: its, projectId, onFrame: () => {}, onEnd }))
    })
  t.match(await told(project.id, 'kw_nobody'), /key/i)
  t.match(await told('prj_01ARZ3NDEKTSV4RRFFQ69G5FAV', key), /project/i)
})
