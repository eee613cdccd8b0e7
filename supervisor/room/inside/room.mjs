/**
 * The program of a room: it runs inside the sandbox, and does what the server asks for. Plain JavaScript without
 * dependencies, because it is bound into the room as it is and runs on the server's own Node.
 *
 * It dials, it never listens for the server: the server's socket lies in a folder that is read-only here, so that an agent
 * cannot put another socket in its place. The first line of every connection says what the connection is for, and carries
 * the token that was read from standard input.
 *
 *   control   requests of the server, one JSON object a line; answers and ended processes, one JSON object a line
 *   stream    standard input, output or error of a process, or a connection to a port in the room
 *   service   a connection that was accepted at a port of `expose`; the server answers one byte when it takes it
 *
 * The room ends with the control stream: this program exits, it is the main program of bubblewrap, and the kernel kills all
 * others with their PID namespace. It signals only processes and groups that it has started itself.
 */
import { createServer, connect } from 'node:net'
import { listeningPorts } from './listening-ports.mjs'
import { createProcesses } from './processes.mjs'

const { socket, token } = JSON.parse(await readAll(process.stdin))

/** A connection to the server. With `allowHalfOpen` one direction may end before the other. */
function dial(hello, allowHalfOpen = false) {
  const stream = connect({ path: socket, allowHalfOpen })
  stream.write(`${JSON.stringify({ token, ...hello })}\n`)
  return stream
}

const control = dial({ for: 'control' })
const send = (message) => control.write(`${JSON.stringify(message)}\n`)
const processes = createProcesses({
  dial,
  onExit: (id, exit) => send({ event: 'exit', process: id, ...exit })
})

/** Each operation resolves with its result, or rejects with an error whose message is passed on. */
const operations = {
  spawn: processes.spawn,
  signal: processes.signal,
  ports: listeningPorts,

  /** Joins a stream of the server to a port in the room. */
  connect({ id, port }) {
    return new Promise((resolve, reject) => {
      const inside = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
      inside.once('error', reject)
      inside.once('connect', () => {
        inside.off('error', reject)
        join(inside, dial({ for: 'stream', stream: id }, true))
        resolve()
      })
    })
  },

  /** Offers a service of the server at a port of the room's own 127.0.0.1. */
  expose({ port, resets }) {
    return new Promise((resolve, reject) => {
      const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (inside) => {
        inside.on('error', () => {})
        const outside = dial({ for: 'service', port }, true)
        outside.once('error', () => inside.destroy())
        outside.once('close', () => inside.destroy())
        outside.once('readable', () => {
          outside.read(1)
          join(inside, outside, resets)
        })
      })
      server.once('error', reject)
      server.listen(port, '127.0.0.1', () => resolve())
    })
  }
}

/**
 * Passes data both ways. A side that ends ends the other side; a side that breaks breaks it. With `resets` the end of the
 * server's side resets the inner connection, so that an answer that was cut off does not look complete.
 */
function join(inside, outside, resets = false) {
  outside.removeAllListeners('error').removeAllListeners('close')
  inside.removeAllListeners('error')
  for (const [from, to] of [
    [inside, outside],
    [outside, inside]
  ]) {
    from.on('error', () => to.destroy())
    from.on('close', () => from.readableEnded || to.destroy())
  }
  inside.pipe(outside)
  if (!resets) return void outside.pipe(inside)
  outside.pipe(inside, { end: false })
  outside.on('end', () => inside.write('', () => inside.resetAndDestroy()))
}

async function carryOut(line) {
  const { request, op, ...fields } = JSON.parse(line)
  try {
    const result = await operations[op](fields)
    send({ request, result: result ?? null })
  } catch (error) {
    send({ request, error: error.code ?? error.message })
  }
}

let rest = ''
control.setEncoding('utf8')
control.on('data', (chunk) => {
  const lines = (rest + chunk).split('\n')
  rest = lines.pop()
  for (const line of lines) void carryOut(line)
})
for (const event of ['error', 'close']) control.on(event, () => process.exit(0))

async function readAll(stream) {
  let text = ''
  for await (const chunk of stream) text += chunk
  return text
}
