import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import pino from 'pino'
import { readConfig } from '#config'
import { REPLAY_KILO, replay, startScriptedModel, type Directive, type Recording } from '#fixtures'
import { isTerminalFrame, type Frame } from '#kernel/frames.ts'
import { LIMITS } from '#kernel/limits.ts'
import { compose } from '../../src/compose/compose.ts'
import { createPauses } from '../helpers/patience.ts'
import { seedDataDir } from '../helpers/databases/template.ts'
import { createClient, givenProject, type Client, type GivenProject } from '../helpers/product.ts'
import { refuseSecrets } from '../../fixtures/record/redact/secrets.ts'
import { stableFrames, type StableFrame } from './stable-frames.ts'

/** The product on the replay: it writes frames without a real Kilo and without a model. */
export interface FramesProduct extends AsyncDisposable {
  /**
   * The frames that it writes for a recording that lies in this folder, the same in every run. Throws when the replay
   * did not play it.
   */
  framesOf(recording: Recording, folder: string, more?: Directive): Promise<StableFrame[]>
}

/** The number of recordings that are played concurrently, each in a project of its own. */
const PROJECTS = 3
const PATIENCE_MS = 60_000
const REFUSED = /^Kilo refused the prompt: The replay cannot play that/

export async function openFramesProduct(projects = PROJECTS): Promise<FramesProduct> {
  await using opening = new AsyncDisposableStack()
  const dataDir = await mkdtemp(join(tmpdir(), 'kilowatt-frames-'))
  opening.defer(() => rm(dataDir, { recursive: true, force: true }))
  await seedDataDir(dataDir)
  const model = opening.use(await startScriptedModel())
  const config = readConfig(
    {
      DATA_DIR: dataDir,
      PORT: '0',
      MODEL: 'openai-compatible/scripted',
      // No request reaches it; a lost connection is retried only while something listens there.
      OPENAI_COMPATIBLE_BASE_URL: model.url,
      OPENAI_COMPATIBLE_API_KEY: 'no-key',
      KILO_BIN: REPLAY_KILO,
      ISOLATION: 'process'
    },
    dataDir
  )
  const product = opening.use(
    await compose(config, pino({ level: 'silent' }), {
      agents: { times: { turnOpenMaxMs: LIMITS.turnOpenMs } },
      // One user plays every scene: how many of them crash must not decide who pays.
      jobs: { goodwillJobsPerHour: 1000 }
    })
  )
  const admin = createClient(product.url, product.adminKey)
  const { body } = await admin.call<{ apiKey: string }>('POST', '/users', {})
  const client = createClient(product.url, body.apiKey)
  await client.call('POST', '/wallet/purchase', { credits: 100_000 }, { 'idempotency-key': 'once' })

  const free = await Promise.all(Array.from({ length: projects }, () => givenProject(client)))
  const waiting: (() => void)[] = []
  const take = async () => {
    while (free.length === 0) await new Promise<void>((resolve) => waiting.push(resolve))
    return free.pop()!
  }

  const opened = opening.move()
  return {
    async framesOf(recording, folder, more = {}) {
      const project = await take()
      try {
        await tidy(project, recording)
        const jobId = await project.submit(replay(folder, { turns: 1, ...more }))
        const frames = stableFrames(await playPeople(client, jobId, recording))
        refuseUnplayed(recording.scene, frames)
        return frames
      } finally {
        free.push(project)
        waiting.shift()?.()
      }
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync()
  }
}

/** The product takes a refusal of the replay for a failed Kilo: such frames belong to no recording. */
function refuseUnplayed(scene: string, frames: readonly StableFrame[]): void {
  const refusal = frames
    .map(({ data }) => data['message'])
    .find((message) => typeof message === 'string' && REFUSED.test(message))
  if (typeof refusal === 'string') throw new Error(`${scene} was not played: ${refusal}`)
}

/** Writes `frames.json` beside each of these recordings; they may say nothing of where they were made. */
export async function writeFrames(recordings: readonly Recording[], dir: string): Promise<void> {
  await using product = await openFramesProduct()
  const write = async (recording: Recording) => {
    const folder = resolve(dir, recording.kilo, recording.scene)
    const frames = await product.framesOf(recording, folder)
    const lines = frames.map((frame) => JSON.stringify(frame))
    const text = `[\n${lines.join(',\n')}\n]\n`
    refuseSecrets(`The frames of “${recording.scene}”`, [text])
    await writeFile(join(folder, 'frames.json'), text)
  }
  await Promise.all(recordings.map(write))
}

/** The project's files are those with which the scene began. */
async function tidy({ id, client, save }: GivenProject, { start }: Recording): Promise<void> {
  const { body } = await client.call<{ files: { path: string }[] }>('GET', `/projects/${id}/files`)
  const wanted = new Set(start.map(({ path }) => path))
  for (const { path } of body.files) {
    if (!wanted.has(path)) await client.call('DELETE', `/projects/${id}/files/${path}`)
  }
  for (const { path, content } of start) await save(path, content)
}

/** Reads a job to its end, and answers its requests as the recorded client did. */
async function playPeople(client: Client, jobId: string, recording: Recording): Promise<Frame[]> {
  const answers = answersIn(recording)
  let { cancelAt } = answers
  const deadline = Date.now() + PATIENCE_MS
  const frames: Frame[] = []
  const pauses = createPauses()

  while (!frames.some(isTerminalFrame)) {
    const after = frames.at(-1)?.seq ?? 0
    const path = `/jobs/${jobId}/events?after=${after}&limit=200`
    const { items } = (await client.call<{ items: Frame[] }>('GET', path)).body
    frames.push(...items)
    for (const { type, data } of items) {
      const { permissionId, questionId } = data as { permissionId?: string; questionId?: string }
      if (type === 'job:permission') {
        await say(`permissions/${permissionId}`, answers.permissions.shift())
      }
      if (type === 'job:question') await say(`questions/${questionId}`, answers.questions.shift())
      if (type === cancelAt) {
        cancelAt = undefined
        await say('cancel', {})
      }
    }
    if (Date.now() > deadline) throw new Error(`${recording.scene} did not end`)
    if (items.length > 0) pauses.reset()
    else await pauses.pause()
  }
  return frames

  async function say(path: string, body: object | undefined): Promise<void> {
    if (body) await client.call('POST', `/jobs/${jobId}/${path}`, body)
  }
}

function answersIn({ exchanges, rootSessionId, stream }: Recording) {
  const requests = (pattern: RegExp) =>
    exchanges.filter(({ method, path, status }) => {
      return method === 'POST' && status < 400 && pattern.test(path)
    })
  const events = new TextDecoder().decode(stream).split('\n\n')
  const closed = events.findIndex(
    (text) => text.includes('"session.turn.close"') && text.includes(rootSessionId)
  )
  const abort = requests(/\/abort$/).find(({ path }) => path.includes(rootSessionId))
  const cancels = abort !== undefined && (closed < 0 || abort.after <= closed)
  return {
    permissions: requests(/^\/permission\/.*\/reply$/).map(({ body }) => body as object),
    questions: requests(/^\/question\/.*\/(reply|reject)$/).map(({ path, body }) =>
      path.endsWith('reject') ? { reject: true } : (body as object)
    ),
    cancelAt: cancels ? lastStepIn(events.slice(0, abort.after)) : undefined
  }
}

/**
 * The frame after which the recorded client aborted. A cancel that comes before it may reach the server before the
 * prompt has reached Kilo: then which frames there are is chance.
 */
function lastStepIn(events: readonly string[]): Frame['type'] | undefined {
  const has = (sign: string) => events.some((text) => text.includes(sign))
  if (has('"permission.asked"')) return 'job:permission'
  return has('"type":"tool"') ? 'job:tool' : 'job:running'
}
