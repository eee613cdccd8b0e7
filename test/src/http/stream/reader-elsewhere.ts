import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Test } from 'tap'
import { within } from '#kernel/waiting.ts'

const PATIENCE_MS = 60_000

const READER = `
import { WebSocket } from 'ws'
const { URL, KEY, PROJECT } = process.env
const socket = new WebSocket(URL, 'kilowatt.v1', { headers: { authorization: 'Bearer ' + KEY } })
socket.on('open', () => socket.send(JSON.stringify({ type: 'subscribe', projectId: PROJECT, after: 0 })))
socket.on('message', (data) => console.log(JSON.parse(data).seq ?? 'notice'))
socket.on('close', (code) => console.log('closed with ' + code))
`

export interface ReaderElsewhere {
  /** It hears its first message. */
  readonly began: Promise<unknown>
  /** Waits for this frame, or for the close; answers which it was. */
  until(seq: number): Promise<string | undefined>
}

/** A WebSocket client in a process of its own, which continues to read and to answer pings while this process is busy. */
export function readElsewhere(
  t: Test,
  where: { readonly url: string; readonly key: string; readonly projectId: string }
): ReaderElsewhere {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', READER], {
    cwd: process.cwd(),
    env: { URL: `${where.url}/ws`, KEY: where.key, PROJECT: where.projectId },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  t.teardown(() => child.kill('SIGKILL'))
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  const first = lines.next()
  const until = async (seq: number) => {
    for (let next = await first; !next.done; next = await lines.next()) {
      if (next.value === String(seq) || next.value.startsWith('closed')) return next.value
    }
    return 'the reader is gone'
  }
  return {
    began: within(first, PATIENCE_MS),
    until: (seq) => within(until(seq), PATIENCE_MS)
  }
}
