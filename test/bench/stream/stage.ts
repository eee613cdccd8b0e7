import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import getPort from 'get-port'
import { WebSocket } from 'ws'
import { REPLAY_KILO } from '#fixtures'
import { SUBPROTOCOL } from '#kernel/frames.ts'
import { LIMITS } from '#kernel/limits.ts'
import { createApiClient, type ApiClient } from '../../../src/demo/api-client.ts'
import { seedDataDir } from '../../helpers/databases/template.ts'
import { burstPrompt, type Burst } from './burst.ts'
import { start, startProgram, type Running } from '../processes.ts'

/** A way from a Kilo to a WebSocket. */
export interface Way {
  /** Has Kilo play the burst, and resolves after the last of its messages. Each message is handed on as it came. */
  play(burst: Burst, onText: (text: string) => void): Promise<void>
}

export interface Kilowatt extends AsyncDisposable {
  readonly server: Running
  readonly client: ApiClient
  /** A new project, and its id. */
  project(): Promise<string>
  /** A socket that has sent nothing yet. */
  open(): Promise<WebSocket>
  /** A socket that follows a project, once its snapshot has come. */
  watch(projectId: string, after?: number): Promise<WebSocket>
  /** How to open so many sockets that follow a project: from several users and addresses, as the server's limits require. */
  audience(sockets: number): Promise<() => Promise<WebSocket>>
  /** A project of its own with an agent of its own, and one watcher. */
  way(): Promise<Way>
}

const PROBE = ['--expose-gc', '--import', join(import.meta.dirname, 'memory-probe.ts')]

/** The whole product as a process of its own, on a Kilo that plays bursts. */
export async function startKilowatt(): Promise<Kilowatt> {
  await using opening = new AsyncDisposableStack()
  const dataDir = await mkdtemp(join(tmpdir(), 'kilowatt-stream-'))
  opening.defer(() => rm(dataDir, { recursive: true, force: true }))
  // Creating the database takes seconds and is no part of what is measured.
  await seedDataDir(dataDir)
  const env = {
    DATA_DIR: dataDir,
    PORT: '0',
    KILO_BIN: REPLAY_KILO,
    ISOLATION: 'process',
    AGENTS_MAX: '16',
    MODEL: 'openai-compatible/scripted',
    // No model is asked: the agent replays a recording.
    OPENAI_COMPATIBLE_BASE_URL: 'http://127.0.0.1:9/v1'
  }
  const server = opening.use(await start('src/main.ts', [], env, PROBE))
  const adminKey = (await readFile(join(dataDir, 'admin-key'), 'utf8')).trim()
  const operator = createApiClient(server.url, adminKey)
  const newUser = async () => {
    const { apiKey: key } = await operator.post<{ apiKey: string }>('/users')
    return { key, client: createApiClient(server.url, key) }
  }
  const { key, client } = await newUser()
  const onlyOnce = { 'idempotency-key': randomUUID() }
  await client.post('/wallet/purchase', { credits: 100_000 }, onlyOnce)

  const projectOf = async (of: ApiClient) =>
    (await of.post<{ id: string }>('/projects', { name: 'bench' })).id
  const project = () => projectOf(client)
  const openAs = async (bearer: string, localAddress = '127.0.0.1') => {
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/ws`, SUBPROTOCOL, {
      headers: { authorization: `Bearer ${bearer}` },
      localAddress
    })
    await once(socket, 'open')
    return socket
  }
  const open = () => openAs(key)
  const watch = async (projectId: string, after?: number) => follow(await open(), projectId, after)
  const follow = async (socket: WebSocket, projectId: string, after?: number) => {
    const snapshot = untilText(socket, (text) => text.includes('"type":"snapshot"'))
    socket.send(JSON.stringify({ type: 'subscribe', projectId, after }))
    await snapshot
    return socket
  }
  const audience = async (sockets: number) => {
    const users: { key: string; projectId: string }[] = []
    while (users.length < sockets / LIMITS.socketsPerUserMax) {
      const user = await newUser()
      users.push({ key: user.key, projectId: await projectOf(user.client) })
    }
    let opened = 0
    return async () => {
      const user = users[opened % users.length]!
      const address = `127.0.0.${2 + (opened % Math.ceil(sockets / LIMITS.socketsPerAddressMax))}`
      opened += 1
      return follow(await openAs(user.key, address), user.projectId)
    }
  }
  const way = async (): Promise<Way> => {
    const projectId = await project()
    const socket = await watch(projectId)
    return {
      async play(burst, onText) {
        const over = untilText(socket, isJobOver, onText)
        await client.post(`/projects/${projectId}/ai-command`, { text: burstPrompt(burst) })
        await over
      }
    }
  }

  const opened = opening.move()
  return {
    server,
    client,
    project,
    open,
    watch,
    audience,
    way,
    [Symbol.asyncDispose]: () => opened.disposeAsync()
  }
}

/** The same Kilo with nothing between its event stream and a socket but a relay, in a process of its own too. */
export async function startFloor(textsFile = ''): Promise<Floor> {
  await using opening = new AsyncDisposableStack()
  const relay = opening.use(await start('test/bench/stream/bare-relay.ts', [textsFile], {}, PROBE))
  const socketTo = async (path: string) => {
    const socket = new WebSocket(`${relay.url.replace('http', 'ws')}${path}`)
    await once(socket, 'open')
    return socket
  }
  const opened = opening.move()

  return {
    relay,
    socketTo,
    async way() {
      const port = await getPort({ host: '127.0.0.1' })
      const args = ['serve', '--hostname', '127.0.0.1', '--port', String(port)]
      const { url } = opened.use(await startProgram(REPLAY_KILO, args, {}))
      const socket = await socketTo(`/relay?from=${encodeURIComponent(`${url}/global/event`)}`)
      await untilText(socket, (text) => text.includes('"type":"server.connected"'))
      const ask = (path: string, body: object) =>
        fetch(url + path, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(body)
        })
      return {
        async play(burst, onText) {
          const session = (await (await ask('/session', {})).json()) as { id: string }
          const over = untilText(socket, isTurnOver, onText)
          const parts = [{ type: 'text', text: burstPrompt(burst) }]
          await ask(`/session/${session.id}/prompt_async`, { parts })
          await over
        }
      }
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync()
  }
}

export interface Floor extends AsyncDisposable {
  readonly relay: Running
  socketTo(path: string): Promise<WebSocket>
  /** A Kilo of its own, and a socket that gets its whole event stream. */
  way(): Promise<Way>
}

/** Hands on each message, until the one that is waited for has come. */
export function untilText(
  socket: WebSocket,
  isLast: (text: string) => boolean,
  onText: (text: string) => void = () => {}
): Promise<void> {
  const last = Promise.withResolvers<void>()
  const receive = (data: Buffer) => {
    const text = data.toString()
    try {
      onText(text)
      if (isLast(text)) last.resolve()
    } catch (error) {
      last.reject(error)
    }
  }
  const close = (code: number) => last.reject(new Error(`the socket was closed with ${code}`))
  socket.on('message', receive).on('close', close)
  return last.promise.finally(() => socket.off('message', receive).off('close', close))
}

const isTurnOver = (text: string) => text.includes('"type":"session.turn.close"')

function isJobOver(text: string): boolean {
  if (text.includes('"type":"job:error"')) throw new Error(`the job failed: ${text}`)
  return text.includes('"type":"job:success"')
}
