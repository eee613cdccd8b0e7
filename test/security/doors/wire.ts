import { once } from 'node:events'
import { connect } from 'node:net'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Worker } from 'node:worker_threads'

export interface RawConnection {
  /** What the server has sent so far. */
  readonly received: () => string
  write(text: string): void
  /** Resolves with the milliseconds since it was opened, when the server closes it; undefined after `patienceMs`. */
  closed(patienceMs: number): Promise<number | undefined>
}

/** A TCP connection to a server, for requests that no client library would send. */
export async function openRaw(url: string, teardown: (end: () => void) => void) {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  teardown(() => socket.destroy())
  const started = performance.now()
  let text = ''
  socket.on('data', (chunk) => (text += chunk.toString()))
  socket.on('error', () => {})
  // Not by `once`, which would reject when the connection is reset.
  const over = new Promise<number>((resolve) =>
    socket.once('close', () => resolve(performance.now() - started))
  )
  await once(socket, 'connect')

  const connection: RawConnection = {
    received: () => text,
    write: (more) => void (socket.writable && socket.write(more)),
    closed: (patienceMs) =>
      Promise.race([
        over,
        new Promise<undefined>((resolve) =>
          setTimeout(() => resolve(undefined), patienceMs).unref()
        )
      ])
  }
  return connection
}

/** Writes one byte every 50 ms, until the server closes the connection or the time is over. */
export async function drip(connection: RawConnection, patienceMs: number) {
  const dripping = setInterval(() => connection.write(' '), 50)
  try {
    return await connection.closed(patienceMs)
  } finally {
    clearInterval(dripping)
  }
}

/** The longest time that this process was blocked while the work ran. */
export async function longestBlockMs(work: () => Promise<unknown>): Promise<number> {
  const delay = monitorEventLoopDelay({ resolution: 5 })
  delay.enable()
  await work()
  delay.disable()
  return delay.max / 1e6
}

export interface Flood {
  readonly url: string
  readonly headers: Record<string, string>
  /** The body is these texts, each repeated so many times. */
  readonly parts: readonly (readonly [text: string, times: number])[]
  /** How many requests are sent concurrently. */
  readonly count: number
}

const FLOOD = `
  const { parentPort, workerData } = require('node:worker_threads')
  const { url, headers, parts, count } = workerData
  const body = Buffer.concat(parts.map(([text, times]) => Buffer.alloc(Buffer.byteLength(text) * times, text)))
  const send = () => fetch(url, { method: 'POST', headers, body }).then(
    async (answer) => ({ status: answer.status, text: await answer.text() }),
    (error) => ({ status: 0, text: String(error.cause ?? error) }))
  Promise.all(Array.from({ length: count }, send)).then((answers) => parentPort.postMessage(answers))`

/** Sends large bodies from a thread of their own, so that building and sending them does not block this one. */
export async function flood(workerData: Flood) {
  const worker = new Worker(FLOOD, { eval: true, workerData })
  const [answers] = (await once(worker, 'message')) as [{ status: number; text: string }[]]
  await worker.terminate()
  return answers
}
