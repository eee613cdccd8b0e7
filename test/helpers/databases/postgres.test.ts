import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { findPostgres } from './postgres.ts'

const HELPER = join(import.meta.dirname, 'postgres.ts')
const CHILD = `
  import { findPostgres, startPostgres } from ${JSON.stringify(HELPER)}
  const server = await startPostgres(await findPostgres())
  process.stdout.write(server.url('x'))
  setInterval(() => {}, 1000)`

const bin = await findPostgres()
const skip = bin === undefined && 'no PostgreSQL here'

t.test('a test process that is killed leaves no server and no folder', { skip }, async (t) => {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', CHILD])
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  const dir = new URL(String(line)).searchParams.get('host')!
  t.ok(existsSync(join(dir, 'data/postmaster.pid')))

  child.kill('SIGKILL')
  const deadline = Date.now() + 30_000
  while (existsSync(dir) && Date.now() < deadline) await new Promise((r) => setTimeout(r, 50))
  t.notOk(existsSync(dir), 'the folder is gone, which its server ended before')
})
