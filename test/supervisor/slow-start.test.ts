import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { decideStart } from '../../supervisor/agent/start/patience-policy.ts'
import { openStage, processesWith } from './helpers.ts'

t.test('decides whether a start is awaited', async (t) => {
  const bounds = { startMs: 60_000, startMaxMs: 180_000 }
  const silent = {
    waitedMs: 60_000,
    sinceCheckMs: 5000,
    cpuMs: 0,
    wroteOutput: false,
    answersHealth: false
  }
  for (const [title, facts, expected] of [
    ['silent within its bound', { ...silent, waitedMs: 59_999 }, 'wait'],
    ['silent', silent, 'fail'],
    ['an event loop that waits', { ...silent, cpuMs: 40 }, 'fail'],
    ['computing on a busy machine', { ...silent, cpuMs: 60 }, 'wait'],
    ['writing output', { ...silent, wroteOutput: true }, 'wait'],
    ['answering health requests', { ...silent, answersHealth: true }, 'wait'],
    ['computing for too long', { ...silent, cpuMs: 5000, waitedMs: 180_000 }, 'fail']
  ] as const) {
    t.equal(decideStart(facts, bounds), expected, title)
  }
})

/** Computes for this long, and then starts as Kilo does. */
const computing = (ms: number) => `#!${process.execPath}
const { createServer } = require('node:http')
const until = Date.now() + ${ms}
while (Date.now() < until);
const port = process.argv[process.argv.indexOf('--port') + 1]
const bodies = {
  '/global/health': { healthy: true, version: '7.7.7' },
  '/config/warnings': [],
  '/agent': [{ name: 'code', mode: 'primary' }]
}
createServer((request, response) => {
  const { pathname } = new URL(request.url, 'http://localhost')
  if (!request.headers.authorization) return response.writeHead(401).end()
  if (pathname === '/global/event') {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    return response.write('data: {"payload":{"type":"server.connected"}}\\n\\n')
  }
  response.writeHead(200, { 'content-type': 'application/json' })
  response.end(JSON.stringify(bodies[pathname]))
}).listen(port, '127.0.0.1', () => console.log('listening on http://127.0.0.1:' + port))
`

async function given(t: Test, program: string, startMaxMs: number) {
  const kiloBin = join(t.testdir(), 'kilo')
  await writeFile(kiloBin, program)
  await chmod(kiloBin, 0o755)
  return openStage(t, { kiloBin, isolation: 'process', times: { startMs: 1000, startMaxMs } })
}

t.test('starts a Kilo that is slow and makes progress', async (t) => {
  const { project, metrics } = await given(t, computing(3000), 120_000)
  await t.resolves(project())
  t.match(metrics, [{ kind: 'started' }])
})

t.test('fails a Kilo that makes progress and never starts', async (t) => {
  const { project, folder } = await given(t, computing(600_000), 3000)
  await t.rejects(project(), {
    reason: 'unavailable',
    message: 'Kilo did not listen within 3 s.'
  })
  t.same(await processesWith(folder), [])
})
