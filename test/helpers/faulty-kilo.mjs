#!/usr/bin/env node
/**
 * The real Kilo behind a proxy with faults: the `KILO_BIN` of tests with a broken event stream.
 * It takes `serve --hostname … --port …` like Kilo, passes requests on, and configures its faults by `POST /faulty` with
 * `{ stream?, forMs?, refuse? }`. Its URL, password and worktree are in `$HOME/faulty.json`.
 *
 * `stream`: `cut` (the socket is destroyed), `end` (a clean end), `stall` (bytes are sent later), `half-open` (open, and
 * nothing is sent again), `drop` (Kilo's bytes are lost, the connection stays open), `hollow` (only heartbeats
 * from now on), `garbage` (something that is not JSON, once). After `cut` and `end` new streams are refused for `forMs`; `stall` and `drop` last for `forMs`.
 * `refuse: { path, status, times }`: the next `times` requests whose path matches are answered with `status`.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, request } from 'node:http'
import { createServer as createTcpServer } from 'node:net'
import { json } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

const KILO = fileURLToPath(
  new URL('../../node_modules/@kilocode/cli-linux-x64/bin/kilo', import.meta.url)
)
const argument = (name) => process.argv[process.argv.indexOf(name) + 1]
const port = Number(argument('--port'))
const behind = await freePort()

const kilo = spawn(KILO, ['serve', '--hostname', '127.0.0.1', '--port', String(behind)], {
  env: { ...process.env, KILO_PARENT_PID: String(process.pid) },
  stdio: ['ignore', 'pipe', 'inherit']
})
kilo.once('exit', (code, signal) => process.exit(code ?? (signal ? 1 : 0)))
process.on('SIGTERM', () => kilo.kill('SIGTERM'))
await new Promise((resolve) => {
  kilo.stdout.on('data', (bytes) => String(bytes).includes('listening on') && resolve())
})

/** Open event streams: what comes of Kilo, and where it goes. */
const streams = new Set()
let awayUntil = 0
let awayCleanly = false
const HEARTBEAT = 'data: {"payload":{"type":"server.heartbeat","properties":{}}}\n\n'
let refuse = { path: '', status: 0, times: 0 }

const server = createServer((incoming, outgoing) => {
  const path = incoming.url ?? '/'
  if (path === '/faulty') return void configure(incoming, outgoing)
  const isStream = path.startsWith('/global/event')
  if (isStream && Date.now() < awayUntil) {
    return awayCleanly ? outgoing.writeHead(200).end() : outgoing.destroy()
  }
  if (refuse.times > 0 && new RegExp(refuse.path).test(path)) {
    refuse.times -= 1
    return outgoing.writeHead(refuse.status, { 'content-type': 'application/json' }).end('{}')
  }
  const { method, headers } = incoming
  const passed = request({ host: '127.0.0.1', port: behind, path, method, headers }, (answer) => {
    outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
    if (isStream) passStream(answer, outgoing)
    else answer.pipe(outgoing)
  })
  passed.on('error', () => outgoing.destroy())
  outgoing.on('close', () => passed.destroy())
  incoming.pipe(passed)
})
// A stream may be silent for long, and so may a client.
server.requestTimeout = 0
server.listen(port, '127.0.0.1')
await once(server, 'listening')
writeFileSync(
  `${process.env.HOME}/faulty.json`,
  JSON.stringify({
    url: `http://127.0.0.1:${port}`,
    password: process.env.KILO_SERVER_PASSWORD,
    worktree: process.env.KILOWATT_WORKTREE
  })
)
process.stdout.write(`kilo server listening on http://127.0.0.1:${port}\n`)

function passStream(answer, outgoing) {
  const stream = { answer, outgoing, lost: false }
  streams.add(stream)
  outgoing.flushHeaders()
  answer.on('data', (bytes) => stream.lost || outgoing.write(bytes))
  answer.on('end', () => outgoing.end())
  answer.on('error', () => outgoing.destroy())
  outgoing.on('close', () => streams.delete(stream))
}

async function configure(incoming, outgoing) {
  const faults = await json(incoming)
  if (faults.refuse) refuse = faults.refuse
  if (faults.stream === 'cut' || faults.stream === 'end') {
    awayUntil = Date.now() + (faults.forMs ?? 0)
    awayCleanly = faults.stream === 'end'
  }
  for (const stream of streams) FAULTS[faults.stream]?.(stream, faults.forMs ?? 0)
  outgoing.writeHead(200, { 'content-type': 'application/json' })
  outgoing.end(JSON.stringify({ streams: streams.size }))
}

const FAULTS = {
  cut: ({ outgoing }) => outgoing.destroy(),
  end: ({ answer, outgoing }) => {
    answer.removeAllListeners('data')
    outgoing.end()
  },
  stall(stream, forMs) {
    stream.answer.pause()
    setTimeout(() => stream.answer.resume(), forMs)
  },
  'half-open': (stream) => {
    stream.lost = true
  },
  drop(stream, forMs) {
    stream.lost = true
    setTimeout(() => {
      stream.lost = false
    }, forMs)
  },
  hollow(stream) {
    stream.lost = true
    const beating = setInterval(() => stream.outgoing.write(HEARTBEAT), 300)
    stream.outgoing.on('close', () => clearInterval(beating))
  },
  garbage: ({ outgoing }) => outgoing.write('data: {"payload": half a message\n\n')
}

async function freePort() {
  const probe = createTcpServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address()
  probe.close()
  await once(probe, 'close')
  return port
}
