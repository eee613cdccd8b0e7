import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import pino from 'pino'
import { readConfig } from '#config'
import { startScriptedModel, type ScriptedModel } from '#fixtures'
import { isTerminalFrame, type Frame, type FrameData, type FrameType } from '#kernel/frames.ts'
import { compose, type Product, type Tuning } from '../../src/compose/compose.ts'
import { createPauses } from './patience.ts'
import { seedDataDir } from './databases/template.ts'
import { watchTransactions } from './databases/transactions.ts'
import { checkMessage } from './wire-checks.ts'

// Every test with a product also proves that neither git nor a request runs inside of a transaction.
watchTransactions()

export interface Answer<T = Record<string, unknown>> {
  readonly status: number
  readonly headers: Headers
  readonly body: T
}

/** One user of a running product, over HTTP like anybody else. */
export interface Client {
  readonly key: string
  call<T = Record<string, unknown>>(
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>
  ): Promise<Answer<T>>
}

export interface TestProduct {
  readonly url: string
  readonly dataDir: string
  readonly model: ScriptedModel
  readonly product: Product
  readonly admin: Client
  /** A new user with this many credits. */
  user(credits?: number): Promise<Client>
}

export function createClient(url: string, key: string): Client {
  return {
    key,
    async call<T>(
      method: string,
      path: string,
      body?: unknown,
      headers: Record<string, string> = {}
    ) {
      const response = await fetch(url + path, {
        method,
        headers: {
          authorization: `Bearer ${key}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) })
      })
      const text = await response.text()
      const isJson = response.headers.get('content-type')?.includes('json') ?? false
      const parsed = isJson ? JSON.parse(text) : text
      return { status: response.status, headers: response.headers, body: parsed as T }
    }
  }
}

/** The whole product, embedded, with the real Kilo and a scripted model; gone at the end of the test. */
export async function startProduct(
  t: Test,
  {
    env = {},
    tuning = {}
  }: {
    env?: Record<string, string> | ((modelUrl: string) => Record<string, string>)
    tuning?: Tuning
  } = {}
): Promise<TestProduct> {
  const stack = new AsyncDisposableStack()
  t.teardown(() => stack.disposeAsync())
  const dataDir = await mkdtemp(join(tmpdir(), 'kilowatt-test-'))
  stack.defer(() => rm(dataDir, { recursive: true, force: true, maxRetries: 5 }))
  await seedDataDir(dataDir)
  const model = stack.use(await startScriptedModel())

  const config = readConfig(
    {
      DATA_DIR: dataDir,
      PORT: '0',
      // Without a list the server asks npm for its registry at each start.
      EGRESS_ALLOW: '',
      MODEL: 'openai-compatible/scripted',
      OPENAI_COMPATIBLE_BASE_URL: model.url,
      OPENAI_COMPATIBLE_API_KEY: 'test-key',
      ...(typeof env === 'function' ? env(model.url) : env)
    },
    dataDir
  )
  const log = pino({ level: process.env['TEST_LOG_LEVEL'] ?? 'silent' })
  const product = stack.use(await compose(config, log, tuning))
  const admin = createClient(product.url, product.adminKey)

  return {
    url: product.url,
    dataDir,
    model,
    product,
    admin,
    async user(credits = 1000) {
      const { body } = await admin.call<{ apiKey: string }>('POST', '/users', {})
      const client = createClient(product.url, body.apiKey)
      if (credits > 0) {
        const once = { 'idempotency-key': randomUUID() }
        await client.call('POST', '/wallet/purchase', { credits }, once)
      }
      return client
    }
  }
}

export interface GivenProject {
  readonly id: string
  readonly client: Client
  /** Submits a prompt; answers the job's id. */
  submit(text: string, more?: object): Promise<string>
  /** Submits a prompt and waits for its end: all its frames, in order. */
  run(text: string, more?: object): Promise<Story>
  /** All frames of a job, once it has ended. */
  story(jobId: string): Promise<Story>
  read(path: string): Promise<string | undefined>
  /** Saves a file as a person does. */
  save(path: string, content: string): Promise<void>
}

export async function givenProject(
  client: Client,
  files: Record<string, string> = {}
): Promise<GivenProject> {
  const { status, body } = await client.call<{ id: string }>('POST', '/projects', {
    name: 'test',
    files: Object.entries(files).map(([path, content]) => ({ path, content }))
  })
  if (status !== 201) throw new Error(`no project: ${JSON.stringify(body)}`)

  const project: GivenProject = {
    id: body.id,
    client,
    async submit(text, more = {}) {
      const answer = await client.call<{ jobId: string }>(
        'POST',
        `/projects/${body.id}/ai-command`,
        { text, ...more }
      )
      if (answer.status !== 202) throw new Error(`refused: ${JSON.stringify(answer.body)}`)
      return answer.body.jobId
    },
    async save(path, content) {
      const answer = await client.call('PUT', `/projects/${body.id}/files/${path}`, { content })
      if (answer.status >= 300) throw new Error(`not saved: ${JSON.stringify(answer.body)}`)
    },
    story: (jobId) => readStory(client, jobId),
    run: async (text, more) => readStory(client, await project.submit(text, more)),
    async read(path) {
      const answer = await client.call<{ content: string }>(
        'GET',
        `/projects/${body.id}/files/${path}`
      )
      return answer.status === 200 ? answer.body.content : undefined
    }
  }
  return project
}

/** A job's frames, with the questions that tests ask of them. */
export interface Story {
  readonly jobId: string
  readonly frames: readonly Frame[]
  readonly last: Frame
  all<T extends FrameType>(type: T): FrameData<T>[]
  only<T extends FrameType>(type: T): FrameData<T>
  /** The texts of one source, joined. */
  text(source?: string): string
}

const PATIENCE_MS = 90_000

export async function readStory(client: Client, jobId: string): Promise<Story> {
  const deadline = Date.now() + PATIENCE_MS
  const frames = await waitFor(client, jobId, deadline, isTerminalFrame)
  return {
    jobId,
    frames,
    last: frames.at(-1)!,
    all: <T extends FrameType>(type: T) =>
      frames.filter((frame) => frame.type === type).map((frame) => frame.data as FrameData<T>),
    only: <T extends FrameType>(type: T) => {
      const found = frames.filter((frame) => frame.type === type)
      if (found.length !== 1) throw new Error(`${found.length} frames of ${type}`)
      return found[0]!.data as FrameData<T>
    },
    text: (source = 'assistant') =>
      frames
        .filter((frame) => frame.type === 'job:log')
        .map((frame) => frame.data as FrameData<'job:log'>)
        .filter((data) => data.source === source)
        .map((data) => data.text)
        .join('')
  }
}

/** Polls the JSON page until a frame of the job satisfies; answers all frames up to then. */
export async function waitFor(
  client: Client,
  jobId: string,
  deadline: number,
  satisfies: (frame: Frame) => boolean
): Promise<Frame[]> {
  const frames: Frame[] = []
  const pauses = createPauses()
  let after = 0
  for (;;) {
    const { body } = await client.call<{ items: Frame[] }>(
      'GET',
      `/jobs/${jobId}/events?after=${after}&limit=200`
    )
    frames.push(...body.items.map(checkMessage))
    after = frames.at(-1)?.seq ?? after
    if (body.items.some(satisfies)) return frames
    if (Date.now() > deadline) {
      throw new Error(`waited in vain: ${JSON.stringify(frames.slice(-5), null, 1)}`)
    }
    if (body.items.length > 0) pauses.reset()
    else await pauses.pause()
  }
}

/** Waits until a job has written a frame of this type; answers its data. */
export async function seen<T extends FrameType>(
  client: Client,
  jobId: string,
  type: T
): Promise<FrameData<T>> {
  const frames = await waitFor(
    client,
    jobId,
    Date.now() + PATIENCE_MS,
    (frame) => frame.type === type || isTerminalFrame(frame)
  )
  const found = frames.find((frame) => frame.type === type)
  if (!found) throw new Error(`no ${type} before the end: ${JSON.stringify(frames.at(-1))}`)
  return found.data as FrameData<T>
}
