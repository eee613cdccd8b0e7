import { execFile } from 'node:child_process'
import { mkdir, readFile, rm, stat } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text as readText } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { script } from '#fixtures'
import t from 'tap'
import { API_KEY, never, openStage, play, processesWith, toolsOf, untilGone } from './helpers.ts'

const run = promisify(execFile)
const SECRET = 'a-secret-of-the-parents-environment'
process.env['KILOWATT_TEST_SECRET'] = SECRET

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false
  )
const bash = (command: string) => ({ tool: 'bash', input: { command, description: 'a command' } })

t.test('runs an agent as a plain process without a sandbox', async (t) => {
  const proxy = await openRecorder(t)
  const { supervisor, project, metrics, folder, model, models } = await openStage(t, {
    isolation: 'process',
    providersFor: () => [{ id: 'openai-compatible', baseUrl: proxy.url(), apiKey: API_KEY, models }]
  })
  proxy.to(model.url)
  // The worktree lies inside another checkout, as when the product is tried out in its own repository.
  await run('git', ['init', '--quiet', folder])
  const { id, worktree, agent, pid } = await project()
  t.equal(supervisor.isolation, 'process')

  await t.test('passes nothing of our environment to it', async (t) => {
    const environment = await readFile(`/proc/${pid}/environ`, 'utf8')
    t.notMatch(environment, SECRET)
    t.match(environment, 'KILO_SERVER_PASSWORD=')
    const names = environment.split('\0').map((entry) => entry.split('=')[0])
    t.notOk(names.includes('KILOWATT_TEST_SECRET'))

    const { events } = await play(
      agent,
      { text: script(bash('printenv'), { say: 'done' }) },
      (e) =>
        e.type === 'permission.asked' ? agent.answerPermission(e.permissionId, 'once') : undefined
    )
    const printed = toolsOf(events).at(-1)?.output ?? ''
    t.match(printed, /XDG_DATA_HOME/)
    t.notMatch(printed, SECRET)
    t.notMatch(printed, API_KEY)
  })

  await t.test(
    'asks for a permission before a command, and runs it when it is allowed once',
    async (t) => {
      const { events, outcome, answer } = await play(
        agent,
        { text: script(bash('touch allowed.txt'), { say: 'done' }) },
        (event) => {
          if (event.type !== 'permission.asked') return
          t.match(event, {
            kind: 'bash',
            patterns: ['touch allowed.txt'],
            title: 'touch allowed.txt'
          })
          return agent.answerPermission(event.permissionId, 'once')
        }
      )
      t.same(outcome, { kind: 'completed' })
      t.equal(answer, 'done')
      t.ok(await exists(join(worktree, 'allowed.txt')))
      t.equal(events.filter(({ type }) => type === 'permission.asked').length, 1)
      t.match(toolsOf(events).at(-1), { tool: 'bash', status: 'completed', mayWrite: true })
    }
  )

  await t.test(
    'does not run a rejected command, and passes the message to the model',
    async (t) => {
      const { events, answer } = await play(
        agent,
        { text: script(bash('touch rejected.txt'), { say: 'rejected' }) },
        (event) =>
          event.type === 'permission.asked'
            ? agent.answerPermission(event.permissionId, 'reject', 'not today')
            : undefined
      )
      t.notOk(await exists(join(worktree, 'rejected.txt')))
      t.match(toolsOf(events).at(-1), { status: 'error', output: /not today/ })
      t.equal(answer, 'rejected')
      await t.resolves(agent.answerPermission('per_unknown', 'once'), 'a late answer is ignored')
    }
  )

  await t.test('cancels a turn that waits for an answer', async (t) => {
    const cancel = new AbortController()
    const { outcome } = await play(
      agent,
      { text: script(bash('touch never.txt'), { say: 'x' }) },
      (event) => event.type === 'permission.asked' && cancel.abort(),
      cancel.signal
    )
    t.same(outcome, { kind: 'interrupted' })
    t.notOk(await exists(join(worktree, 'never.txt')))
  })

  await t.test('confines edits to a worktree inside a larger repository', async (t) => {
    const write = (filePath: string) => ({ tool: 'write', input: { filePath, content: 'x' } })
    const { events } = await play(agent, {
      text: script(
        write(join(folder, 'escaped.txt')),
        write('../also-escaped.txt'),
        write(join(worktree, 'deep/inside.txt')),
        { say: 'done' }
      )
    })
    t.notOk(await exists(join(folder, 'escaped.txt')))
    t.notOk(await exists(join(folder, 'also-escaped.txt')))
    t.ok(await exists(join(worktree, 'deep/inside.txt')))
    t.equal(toolsOf(events).at(-1)?.title, 'deep/inside.txt')
  })

  await t.test('names the open file to the model', async (t) => {
    await play(agent, { text: script({ say: 'a' }), currentFilePath: 'src/looked-at.ts' })
    t.match(proxy.lastBody(), /src\/looked-at\.ts/)
  })

  await t.test('fails the turn when the provider is unreachable', async (t) => {
    const target = proxy.url()
    await proxy.close()
    const { outcome } = await play(agent, { text: script({ say: 'a' }) })
    t.match(outcome, { kind: 'failed', reason: 'model_unreachable' }, target)
  })

  await t.test(
    'kills a command’s background process with its turn, also in another session',
    async (t) => {
      await proxy.reopen()
      const sleeper = `sleep 98${process.pid}`
      await play(
        agent,
        { text: script(bash(`setsid nohup ${sleeper} >/dev/null 2>&1 & echo ok`), { say: 'x' }) },
        (event) =>
          event.type === 'permission.asked'
            ? agent.answerPermission(event.permissionId, 'once')
            : undefined
      )
      t.same(await processesWith(sleeper), [])
      t.not((await processesWith(folder)).length, 0, 'Kilo still runs')
      await supervisor.stop(id)
      t.same(await processesWith(folder), [])
      t.same(
        metrics.filter(({ kind }) => kind === 'crashed'),
        []
      )
    }
  )

  await t.test(
    'fails the turn of a crashed agent, and starts a new process for the next',
    async (t) => {
      const again = await supervisor.borrow(id, worktree, never()).agent
      const { pid } = supervisor.running()[0] ?? {}
      const slow = script({ say: 'word '.repeat(100), chunks: 100, chunkMs: 50 })
      await t.rejects(
        play(again, { text: slow }, (event) => {
          if (event.type === 'text.appended') process.kill(pid as number, 'SIGKILL')
        }),
        { reason: 'crashed', message: /SIGKILL/ }
      )
      t.equal(metrics.filter(({ kind }) => kind === 'crashed').length, 1)
      await untilGone(folder)

      const third = await supervisor.borrow(id, worktree, never()).agent
      t.not(third, again)
      t.equal((await play(third, { text: script({ say: 'back' }) })).answer, 'back')
    }
  )

  await t.test('rejects a start without a worktree immediately', async (t) => {
    await supervisor.stop(id)
    await rm(worktree, { recursive: true })
    await t.rejects(supervisor.borrow(id, worktree, never()).agent, {
      reason: 'unavailable',
      message: 'The project has no worktree.'
    })
    await mkdir(worktree)
  })
})

/** A proxy in front of the model that keeps Kilo's last request. */
async function openRecorder(t: { teardown(end: () => unknown): void }) {
  let target = ''
  let last = ''
  let port = 0
  let server: Server | undefined

  const listen = async () => {
    server = createServer((request, response) => {
      // Clients that disconnect in the middle are part of the tests.
      forward(request, response).catch(() => response.destroy())
    })
    await new Promise<void>((resolve) => server?.listen(port, '127.0.0.1', resolve))
    port = (server.address() as AddressInfo).port
  }
  const forward = async (request: IncomingMessage, response: ServerResponse) => {
    last = await readText(request)
    const path = (request.url ?? '').replace(/^\/v1/, '')
    const headers = { ...(request.headers as Record<string, string>) }
    delete headers['host']
    delete headers['connection']
    delete headers['content-length']
    const answer = await fetch(`${target}${path}`, { method: 'POST', headers, body: last })
    response.writeHead(answer.status, {
      'content-type': answer.headers.get('content-type') ?? 'text/plain'
    })
    for await (const bytes of answer.body ?? []) response.write(bytes)
    response.end()
  }
  const close = async () => {
    server?.closeAllConnections()
    await new Promise((resolve) => server?.close(resolve))
  }
  await listen()
  t.teardown(close)

  return {
    url: () => `http://127.0.0.1:${port}/v1`,
    to: (url: string) => {
      target = url
    },
    lastBody: () => last,
    close,
    reopen: listen
  }
}
