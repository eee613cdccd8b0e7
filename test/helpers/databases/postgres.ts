import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, globSync } from 'node:fs'
import { chown, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)
const START_PATIENCE_MS = 30_000

/** Reached by its socket only; every test may open many connections. */
const SETTINGS = ['listen_addresses=', 'max_connections=300']
/** For tests nothing has to survive a crash. */
const CARELESS = ['fsync=off', 'full_page_writes=off', 'synchronous_commit=off']

/** Serves until its standard input ends, which it does with the test process, however that ends; leaves nothing. */
const KEEPER = `
  dir=$1; shift
  "$@" >"$dir/log" 2>&1 </dev/null &
  while read -r _; do :; done
  kill -QUIT $!; wait $!
  cd / && rm -rf "$dir"`

export interface PostgresServer extends AsyncDisposable {
  /** Where one of its databases is; `postgres` is there from the start. */
  url(database: string): string
}

/** The folder of a server's programs: where pg_config says, where Debian has them, or on the PATH. */
export async function findPostgres(env = process.env): Promise<string | undefined> {
  const path = (env['PATH'] ?? '').split(delimiter).filter(Boolean)
  const configured = await run('pg_config', ['--bindir'], { env }).then(
    ({ stdout }) => [stdout.trim()],
    () => []
  )
  const version = (folder: string) => Number(folder.split('/')[4])
  const debian = globSync('/usr/lib/postgresql/*/bin').sort((a, b) => version(b) - version(a))
  return [...configured, ...debian, ...path].find((folder) =>
    ['initdb', 'postgres'].every((program) => existsSync(join(folder, program)))
  )
}

/** A throwaway server in a temporary folder, reached by a socket in it, so that it occupies no port. */
export async function startPostgres(
  bin: string,
  { durable = false } = {}
): Promise<PostgresServer> {
  const dir = await mkdtemp(join(tmpdir(), 'kilowatt-postgres-'))
  const data = join(dir, 'data')
  const owner = await serverOwner()
  if (owner) await chown(dir, owner.uid, owner.gid)
  const as = { ...owner, cwd: dir, env: { PATH: `${bin}:/usr/bin:/bin`, LC_ALL: 'C' } }

  try {
    const layout = ['-D', data, '-U', 'kilowatt', '-E', 'UTF8', '--locale=C']
    await run(join(bin, 'initdb'), [...layout, '--auth=trust', '--no-sync'], as)
  } catch (error) {
    await rm(dir, { recursive: true, force: true })
    throw error
  }

  const settings = [...SETTINGS, ...(durable ? [] : CARELESS), `unix_socket_directories=${dir}`]
  const server = [join(bin, 'postgres'), '-D', data, ...settings.flatMap((one) => ['-c', one])]
  const keeper = spawn('sh', ['-c', KEEPER, 'sh', dir, ...server], {
    ...as,
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore']
  })
  const ended = once(keeper, 'exit')
  let closed: Promise<void> | undefined
  const close = () => {
    keeper.ref()
    keeper.stdin.end()
    return (closed ??= ended.then(() => {}))
  }

  try {
    await untilReady(dir)
  } catch (error) {
    await close()
    throw error
  }
  keeper.unref()
  return {
    url: (database) => `postgresql://kilowatt@localhost/${database}?host=${dir}`,
    [Symbol.asyncDispose]: close
  }
}

/** PostgreSQL refuses to run as root, so the tests of root run it as an unprivileged user. */
async function serverOwner(): Promise<{ uid: number; gid: number } | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const users = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'))
  const user = users.find(([name]) => name === 'postgres') ?? users.find(([n]) => n === 'nobody')
  if (!user) throw new Error('root needs a user postgres or nobody to run PostgreSQL')
  return { uid: Number(user[2]), gid: Number(user[3]) }
}

async function untilReady(dir: string): Promise<void> {
  const deadline = Date.now() + START_PATIENCE_MS
  const isReady = async () => {
    const state = await readFile(join(dir, 'data/postmaster.pid'), 'utf8').catch(() => '')
    return state.split('\n')[7]?.trim() === 'ready'
  }
  while (!(await isReady())) {
    if (Date.now() > deadline) {
      const log = await readFile(join(dir, 'log'), 'utf8').catch(String)
      throw new Error(`PostgreSQL does not start: ${log}`)
    }
    await sleep(20)
  }
}
