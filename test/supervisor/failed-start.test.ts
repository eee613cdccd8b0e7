import { mkdirSync, rmSync } from 'node:fs'
import { access, chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '#kernel/clock.ts'
import { projectId } from '#kernel/ids.ts'
import { silentLog } from '#kernel/log.ts'
import t, { type Test } from 'tap'
import { folderOf } from '../../supervisor/process/agent-folder.ts'
import { launch } from '../../supervisor/agent/launch.ts'
import { AGENT_LIMITS } from '#kernel/limits.ts'
import { AGENT_TIMES } from '../../supervisor/options.ts'
import { createRedact } from '../../supervisor/redact.ts'
import { createPlainRooms } from '../../supervisor/room/plain-room.ts'
import type { RoomKind } from '../../supervisor/room/room.ts'
import { never, openStage, processesWith } from './helpers.ts'

const SILENT_SHELL = '#!/bin/sh\nsleep 600 & sleep 600\n'

const LISTENS_ONLY = `#!${process.execPath}
const port = process.argv[process.argv.indexOf('--port') + 1]
const server = require('node:net').createServer(() => {})
server.listen(port, '127.0.0.1', () => console.log('listening on http://127.0.0.1:' + port))
`

/** Listens and answers every request; after the last response it sends one event and exits. */
const EXITS_WHEN_READY = `#!${process.execPath}
const { createServer } = require('node:http')
const port = process.argv[process.argv.indexOf('--port') + 1]
const bodies = {
  '/global/health': { healthy: true, version: '7.7.7' },
  '/config/warnings': [],
  '/agent': [{ name: 'code', mode: 'primary' }]
}
let answered = 0
let stream
const exitAfterLastResponse = () => {
  if (answered < 4 || !stream) return
  stream.write('data: {"payload":{"type":"server.connected"}}\\n\\n', () => process.exit(7))
}
createServer((request, response) => {
  const { pathname } = new URL(request.url, 'http://localhost')
  if (pathname === '/global/event') {
    stream = response.writeHead(200, { 'content-type': 'text/event-stream' })
    stream.flushHeaders()
    return exitAfterLastResponse()
  }
  response.on('close', () => {
    answered += 1
    exitAfterLastResponse()
  })
  if (!request.headers.authorization) return response.writeHead(401).end()
  response.writeHead(200, { 'content-type': 'application/json' })
  response.end(JSON.stringify(bodies[pathname]))
}).listen(port, '127.0.0.1', () => console.log('listening on http://127.0.0.1:' + port))
`

/** Its event stream ends soon after it began, and from then on it is unhealthy; its last response takes long. */
const FALLS_SILENT = `#!${process.execPath}
const { createServer } = require('node:http')
const port = process.argv[process.argv.indexOf('--port') + 1]
let isSilent = false
createServer((request, response) => {
  const { pathname } = new URL(request.url, 'http://localhost')
  if (!request.headers.authorization) return response.writeHead(401).end()
  if (pathname === '/global/event') {
    response.writeHead(isSilent ? 503 : 200, { 'content-type': 'text/event-stream' })
    response.write('data: {"payload":{"type":"server.connected"}}\\n\\n')
    return setTimeout(() => {
      isSilent = true
      response.destroy()
    }, 1000)
  }
  if (pathname === '/agent') return setTimeout(() => answer([{ name: 'code', mode: 'primary' }]), 6000)
  if (pathname === '/config/warnings') return answer([])
  return isSilent ? request.socket.destroy() : answer({ healthy: true, version: '7.7.7' })

  function answer(body) {
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify(body))
  }
}).listen(port, '127.0.0.1', () => console.log('listening on http://127.0.0.1:' + port))
`

t.test('fails the start of a Kilo that stops responding before it is ready', async (t) => {
  const { project, folder } = await given(t, FALLS_SILENT)
  await t.rejects(project(), { reason: 'unavailable', message: /while it started/ })
  t.same(await processesWith(folder), [])
})

t.test('fails the start of a Kilo that exits after its last response', async (t) => {
  const { project, folder, metrics } = await given(t, EXITS_WHEN_READY)
  await t.rejects(project(), {
    reason: 'unavailable',
    message: 'Kilo exited with code 7 while it started.'
  })
  t.same(await processesWith(folder), [])
  t.same(
    metrics.filter(({ kind }) => kind !== 'probe-failed'),
    [{ kind: 'start-failed' }, { kind: 'ended', reason: 'start_failed' }]
  )
})

t.test('leaves no note of a program that cannot be executed', async (t) => {
  const { supervisor, folder } = await given(t, '#!/nowhere/sh\n')
  const id = projectId.create()
  await mkdir(join(folder, 'worktree'))
  await t.rejects(supervisor.borrow(id, join(folder, 'worktree'), never()).agent, {
    reason: 'unavailable',
    message: /could not be started/
  })
  await t.rejects(access(folderOf(join(folder, 'agents'), id).note), { code: 'ENOENT' })
})

t.test('kills the process when its note cannot be written', async (t) => {
  const folder = t.testdir({ kilo: SILENT_SHELL, agents: {}, worktree: {} })
  const path = join(folder, 'kilo')
  await chmod(path, 0o755)
  const id = projectId.create()
  const { note } = folderOf(join(folder, 'agents'), id)
  const kilo = { path, packageBin: undefined, version: '7.7.7' }
  const plain = createPlainRooms({ kilo, ripgrep: undefined })
  const rooms: RoomKind = {
    ...plain,
    /** Called between the notes before and after the spawn: simulates a disk that fills up in between. */
    open(plan) {
      rmSync(note, { recursive: true })
      mkdirSync(note)
      return plain.open(plan)
    }
  }
  const runtime = { kilo, rooms, bubblewrap: undefined }
  const starting = launch(
    {
      projectId: id,
      worktree: join(folder, 'worktree'),
      runtime,
      agentsDir: join(folder, 'agents'),
      providers: [],
      defaultModel: 'openai-compatible/scripted',
      modelTimeouts: { headerMs: 1000 },
      modelRetriesMax: 1,
      times: AGENT_TIMES,
      limits: AGENT_LIMITS,
      clock: systemClock,
      log: silentLog,
      password: 'secret',
      redact: createRedact([])
    },
    never()
  )
  await t.rejects(starting, { code: 'EISDIR' })
  t.same(await processesWith(folder), [])
})

for (const [says, program] of [
  ['listens', SILENT_SHELL],
  ['answers', LISTENS_ONLY]
] as const) {
  t.test(`stops without waiting for a start that never ${says}`, async (t) => {
    const { supervisor, project, folder, metrics } = await given(t, program)
    const starting = t.rejects(project(), { name: 'AgentFailure', reason: 'stopped' })
    while ((await processesWith(folder)).length === 0) await sleep(20)
    // Long enough for the program to have listened.
    await sleep(500)
    const since = performance.now()
    await supervisor[Symbol.asyncDispose]()
    t.ok(performance.now() - since < 10_000)
    await starting
    t.same(await processesWith(folder), [])
    t.same(metrics, [{ kind: 'ended', reason: 'shutdown' }], 'a stopped start is no failed start')
  })
}

/** A supervisor whose Kilo is this program. */
async function given(t: Test, program: string) {
  const kiloBin = join(t.testdir(), 'kilo')
  await writeFile(kiloBin, program)
  await chmod(kiloBin, 0o755)
  return openStage(t, { kiloBin, isolation: 'process' })
}
