import { randomUUID } from 'node:crypto'
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
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
  readonly dataDir: string
  admin(): Promise<Client>
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
export async function startServer({ diskMib }: { diskMib?: number } = {}): Promise<ServerProcess> {
  await using opening = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'kilowatt-server-'))
  opening.defer(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }))
  const disk = diskMib === undefined ? undefined : opening.use(await mountDisk(folder, diskMib))
  const dataDir = disk?.path ?? folder
  await seedDataDir(dataDir)
  const port = await getPort({ host: '127.0.0.1' })

  const url = `http://127.0.0.1:${port}`
  const begin = () => spawnMain({ DATA_DIR: folder, PORT: String(port), ...REPLAYING }, disk?.enter)
  let running = await begin()
  opening.defer(() => end(running, 'SIGTERM'))

  const opened = opening.move()
  const admin = async () =>
    createClient(url, (await readFile(join(dataDir, 'admin-key'), 'utf8')).trim())
  return {
    url,
    dataDir,
    admin,
    get pid() {
      return running.pid!
    },
    async user(credits = 1000) {
      const { body } = await (await admin()).call<{ apiKey: string }>('POST', '/users', {})
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

/** Whether this process may mount a file system for itself. */
export const mayMount = (): boolean =>
  spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'tmpfs', tmpdir()]).status === 0

/** A file system of this size at the folder, in a mount namespace of its own, which lives as long as its first process. */
async function mountDisk(folder: string, mib: number) {
  const mount = 'mount -t tmpfs -o "size=$1m" tmpfs "$2" && echo mounted && exec sleep infinity'
  const holder = spawn('unshare', ['-m', 'sh', '-c', mount, 'sh', String(mib), folder], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  await inTime(once(holder.stdout, 'data'), 'the file system')
  return {
    /** The folder as other processes see it. */
    path: `/proc/${holder.pid}/root${folder}`,
    enter: ['nsenter', '-t', String(holder.pid), '-m', '--'],
    [Symbol.asyncDispose]: () => end(holder, 'SIGKILL')
  }
}

async function spawnMain(
  env: Record<string, string>,
  enter: readonly string[] = []
): Promise<ChildProcess> {
  const [program, ...args] = [enter[0] ?? process.execPath, ...enter.slice(1)]
  if (enter.length > 0) args.push(process.execPath)
  const child = spawn(program, [...args, MAIN], {
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
