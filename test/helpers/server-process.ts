import { randomUUID } from 'node:crypto'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import getPort from 'get-port'
import { REPLAY_KILO } from '#fixtures'
import { seedDataDir } from './databases/template.ts'
import { inTime } from './patience.ts'
import { createClient, type Client } from './product.ts'

const MAIN = join(import.meta.dirname, '../../src/main.ts')
const LAST_WORDS_CHARS = 4000

export interface ServerProcess extends AsyncDisposable {
  /** The same after every start. */
  readonly url: string
  readonly pid: number
  /** A new user with this many credits. */
  user(credits?: number): Promise<Client>
  /** Ends it with this signal and starts it again, with the same data and on the same port. */
  restart(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>
}

/** The settings that make the replay the server's agent. It sends no request to a model. */
const REPLAYING = {
  KILO_BIN: REPLAY_KILO,
  ISOLATION: 'process',
  MODEL: 'openai-compatible/scripted',
  OPENAI_COMPATIBLE_BASE_URL: 'http://127.0.0.1:9/v1'
}

/**
 * The server as it is in earnest: `src/main.ts`, a process of its own, with a data folder that outlives it, and with the
 * replaying Kilo in it.
 */
export async function startServer(): Promise<ServerProcess> {
  await using opening = new AsyncDisposableStack()
  const dataDir = await mkdtemp(join(tmpdir(), 'kilowatt-server-'))
  opening.defer(() => rm(dataDir, { recursive: true, force: true, maxRetries: 5 }))
  await seedDataDir(dataDir)
  const port = await getPort({ host: '127.0.0.1' })

  const url = `http://127.0.0.1:${port}`
  const begin = () => spawnMain({ DATA_DIR: dataDir, PORT: String(port), ...REPLAYING })
  let running = await begin()
  opening.defer(() => end(running, 'SIGTERM'))

  const opened = opening.move()
  return {
    url,
    get pid() {
      return running.pid!
    },
    async user(credits = 1000) {
      const adminKey = (await readFile(join(dataDir, 'admin-key'), 'utf8')).trim()
      const admin = createClient(url, adminKey)
      const { body } = await admin.call<{ apiKey: string }>('POST', '/users', {})
      const client = createClient(url, body.apiKey)
      const onlyOnce = { 'idempotency-key': randomUUID() }
      await client.call('POST', '/wallet/purchase', { credits }, onlyOnce)
      return client
    },
    async restart(signal) {
      await end(running, signal)
      running = await begin()
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync()
  }
}

/** What a server gets of this environment: its programs, and the compiled code that test processes share. */
export const inherited = (): Record<string, string> =>
  Object.fromEntries(
    ['PATH', 'NODE_COMPILE_CACHE'].flatMap((name) => {
      const value = process.env[name]
      return value === undefined ? [] : [[name, value]]
    })
  )

async function spawnMain(env: Record<string, string>): Promise<ChildProcess> {
  const child = spawn(process.execPath, [MAIN], {
    env: { ...inherited(), ...env },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  const listening = Promise.withResolvers<void>()
  let output = ''
  const read = (piece: Buffer) => {
    output = (output + piece.toString()).slice(-LAST_WORDS_CHARS)
    if (output.includes('kilowatt listening')) listening.resolve()
  }
  child.stdout.on('data', read)
  child.stderr.on('data', read)
  child.once('exit', () => listening.reject(new Error(`the server did not start: ${output}`)))
  await inTime(listening.promise, 'the server to listen')
  return child
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill(signal)
  await inTime(ended, `the server to end after ${signal}`)
}
