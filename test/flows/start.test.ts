import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { script, startScriptedModel } from '#fixtures'
import { seedDataDir } from '../helpers/databases/template.ts'
import { processesWith } from '../helpers/processes.ts'
import { createClient, givenProject, seen } from '../helpers/product.ts'
import { inherited } from '../helpers/server-process.ts'

// Every test has servers of its own.
t.jobs = 2

const ROOT = join(import.meta.dirname, '../..')

/** The server as a process of its own, in a folder of its own. */
function startServer(t: Test, dir: string, env: Record<string, string>, args: string[] = []) {
  const child = spawn(process.execPath, [join(ROOT, 'src/main.ts'), ...args], {
    cwd: dir,
    env: { ...inherited(), DATA_DIR: join(dir, 'data'), PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  t.teardown(() => child.kill('SIGKILL'))
  const output = { out: '', err: '' }
  child.stdout.on('data', (piece: Buffer) => (output.out += piece))
  child.stderr.on('data', (piece: Buffer) => (output.err += piece))
  const exited = once(child, 'close').then(([code]) => code as number | null)

  const url = async () => {
    for (;;) {
      const found = /"url":"([^"]+)"/.exec(output.out)?.[1]
      if (found) return found
      if (child.exitCode !== null) throw new Error(`no server: ${output.err}`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
  return { child, output, exited, url }
}

t.test('a start that cannot be says why in one line, and leaves nothing running', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.teardown(() => taken.close())
  const port = String((taken.address() as AddressInfo).port)

  const dir = t.testdir({ file: 'not a folder' })
  await seedDataDir(join(dir, 'data'))
  for (const [says, env, line] of [
    ['a setting that is nonsense', { PORT: 'eighty' }, /^kilowatt: .*PORT.*eighty/],
    [
      'a port in use',
      { PORT: port },
      new RegExp(`^kilowatt: PORT ${port}: address already in use`)
    ],
    [
      'a folder that is a file',
      { DATA_DIR: join(dir, 'file') },
      /^kilowatt: DATA_DIR .*file cannot/
    ],
    ['a folder that cannot be', { DATA_DIR: '/dev/null/data' }, /^kilowatt: DATA_DIR \/dev\/null/],
    ['a Kilo that is not there', { KILO_BIN: '/nowhere/kilo' }, /^kilowatt: .*\/nowhere\/kilo/],
    ['a price list that is not there', { PRICE_LIST: '/nowhere/list' }, /^kilowatt: .*\/nowhere/]
  ] as [string, Record<string, string>, RegExp][]) {
    await t.test(says, async (t) => {
      const server = startServer(t, dir, env)
      t.equal(await server.exited, 1)
      t.match(server.output.err, line)
      t.equal(server.output.err.trim().split('\n').length, 1, server.output.err)
    })
  }
  t.same(await processesWith(dir), [])
})

t.test('--help explains every setting', async (t) => {
  const server = startServer(t, t.testdir(), {}, ['--help'])
  t.equal(await server.exited, 0)
  for (const name of ['DATA_DIR', 'MODEL', 'ANTHROPIC_API_KEY', 'ISOLATION', 'AGENTS_MAX']) {
    t.match(server.output.out, name)
  }
})

t.test('refuses an unknown argument', async (t) => {
  const server = startServer(t, t.testdir(), {}, ['--port=1'])
  t.equal(await server.exited, 1)
  t.match(server.output.err, /^kilowatt: .*--port/)
})

t.test('a Kilo that ends before it is ready fails the job, not the server', async (t) => {
  const dir = t.testdir()
  await seedDataDir(join(dir, 'data'))
  const bin = join(dir, 'kilo')
  await writeFile(bin, '#!/bin/sh\necho "something is wrong here" >&2\nexit 3\n')
  await chmod(bin, 0o755)
  const model = await startScriptedModel()
  t.teardown(() => model[Symbol.asyncDispose]())
  const server = startServer(t, dir, { ...envOf(model.url), KILO_BIN: bin, ISOLATION: 'process' })
  const client = await userOf(await server.url(), dir)
  const project = await givenProject(client)
  const story = await project.run(script({ say: 'never' }))
  t.match(story.only('job:error'), {
    code: 'agent_unavailable',
    message: /something is wrong here/,
    credits: { charged: 0 }
  })
  server.child.kill('SIGTERM')
  t.equal(await server.exited, 0)
  t.same(await processesWith(dir), [])
})

t.test('a signal in the middle of a job ends it, refunds it, and leaves nothing', async (t) => {
  const dir = t.testdir()
  const model = await startScriptedModel()
  t.teardown(() => model[Symbol.asyncDispose]())
  const first = startServer(t, dir, envOf(model.url))
  const client = await userOf(await first.url(), dir)
  const project = await givenProject(client)
  const slow = script(
    { tool: 'write', input: { filePath: '{{worktree}}/half.txt', content: 'half' } },
    { say: 'word '.repeat(300), chunks: 300, chunkMs: 100 }
  )
  const jobId = await project.submit(slow)
  await seen(client, jobId, 'job:log')
  t.not((await processesWith(dir)).length, 0, 'an agent is at work')
  first.child.kill('SIGTERM')
  t.equal(await first.exited, 0)
  t.same(await processesWith(dir), [])
  t.notMatch(first.output.out, 'test-key', 'no key in the log')

  await t.test('the next start reads how the job ended, and runs the next one', async (t) => {
    const second = startServer(t, dir, envOf(model.url))
    const url = await second.url()
    const again = createClient(url, client.key)
    const { body: job } = await again.call('GET', `/jobs/${jobId}`)
    t.match(job, { status: 'failed', error: { code: 'interrupted' }, credits: { charged: 0 } })
    const { body: wallet } = await again.call('GET', '/wallet')
    t.match(wallet, { reserved: 0, spent: 0 })

    const next = await again.call<{ jobId: string }>('POST', `/projects/${project.id}/ai-command`, {
      text: script({ say: 'word '.repeat(300), chunks: 300, chunkMs: 100 })
    })
    await seen(again, next.body.jobId, 'job:log')

    await t.test('also after it was killed without a warning', async (t) => {
      second.child.kill('SIGKILL')
      await second.exited
      const third = startServer(t, dir, envOf(model.url))
      const once_more = createClient(await third.url(), client.key)
      const deadline = Date.now() + 45_000
      let job: Record<string, unknown> = {}
      while (Date.now() < deadline && job['status'] !== 'failed') {
        await new Promise((resolve) => setTimeout(resolve, 100))
        job = (await once_more.call('GET', `/jobs/${next.body.jobId}`)).body
      }
      t.match(job, { status: 'failed', error: { code: 'interrupted' } })
      const { body } = await once_more.call('GET', '/wallet')
      t.match(body, { reserved: 0, spent: 0 })
      third.child.kill('SIGTERM')
      t.equal(await third.exited, 0)
      t.same(await processesWith(dir), [])
    })
  })
})

const envOf = (url: string) => ({
  MODEL: 'openai-compatible/scripted',
  OPENAI_COMPATIBLE_BASE_URL: url,
  OPENAI_COMPATIBLE_API_KEY: 'test-key'
})

async function userOf(url: string, dir: string) {
  await mkdir(dir, { recursive: true })
  const admin = createClient(url, (await readFile(join(dir, 'data/admin-key'), 'utf8')).trim())
  const { body } = await admin.call<{ apiKey: string }>('POST', '/users', {})
  const client = createClient(url, body.apiKey)
  await client.call('POST', '/wallet/purchase', { credits: 100 }, { 'idempotency-key': 'once' })
  return client
}
