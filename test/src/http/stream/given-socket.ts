import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { WebSocket, type ClientOptions } from 'ws'
import { SUBPROTOCOL } from '#kernel/frames.ts'
import { within } from '#kernel/waiting.ts'
import { checkMessage } from '../../../helpers/wire-checks.ts'

export interface Message {
  readonly v: 1
  readonly type: string
  readonly projectId?: string
  readonly seq?: number
  readonly data: any
}

export interface Socket {
  readonly ws: WebSocket
  /** Everything that came so far. */
  readonly seen: Message[]
  say(message: unknown): void
  /**
   * The next message, of this type if one is given: others before it are passed over. Rejects when the socket is closed
   * before it came, or nothing comes for longer than any machine needs.
   */
  next(type?: string): Promise<Message>
  /** How it was closed. */
  closed(): Promise<{ code: number; reason: string }>
}

const PATIENCE_MS = 90_000

/** The app on a port of its own; its address. */
export async function listen(app: FastifyInstance): Promise<string> {
  await app.listen({ port: 0, host: '127.0.0.1' })
  return `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
}

export interface SocketOptions extends ClientOptions {
  readonly path?: string
  readonly protocols?: string[]
}

/** Opens a socket as a program would. Rejects with the status of a refusal. */
export async function openSocket(
  t: Test,
  url: string,
  { path = '/ws', protocols = [SUBPROTOCOL], ...options }: SocketOptions = {}
): Promise<Socket> {
  const ws = new WebSocket(`${url.replace('http', 'ws')}${path}`, protocols, options)
  t.teardown(() => ws.terminate())
  const seen: Message[] = []
  let taken = 0
  let arrived = Promise.withResolvers<true>()
  ws.on('message', (data: Buffer) => {
    seen.push(checkMessage(JSON.parse(data.toString()) as Message))
    arrived.resolve(true)
    arrived = Promise.withResolvers()
  })
  const closing = once(ws, 'close')
  const over = closing.then(
    () => false,
    () => false
  )
  await Promise.race([
    once(ws, 'open'),
    once(ws, 'unexpected-response').then(([, response]) => {
      throw new Refused(response.statusCode, response.headers['content-type'])
    })
  ])

  return {
    ws,
    seen,
    say: (message) => ws.send(typeof message === 'string' ? message : JSON.stringify(message)),
    async next(type) {
      for (;;) {
        while (taken < seen.length) {
          const message = seen[taken++]!
          if (type === undefined || message.type === type) return message
        }
        const isHere = await within(Promise.race([arrived.promise, over]), PATIENCE_MS)
        if (!isHere && taken === seen.length) throw new Error(inVain(type, ws, seen))
      }
    },
    async closed() {
      const [code, reason] = (await closing) as [number, Buffer]
      return { code, reason: reason.toString() }
    }
  }
}

function inVain(type = 'a message', ws: WebSocket, seen: readonly Message[]): string {
  const how = ws.readyState === ws.OPEN ? 'on an open socket' : 'and the socket was closed'
  const last = seen.slice(-3).map((message) => `${message.type} ${message.seq ?? ''}`)
  return `waited in vain for ${type}, ${how}; of ${seen.length} the last were ${last.join(', ')}`
}

export class Refused extends Error {
  readonly status: number
  readonly contentType: string

  constructor(status: number, contentType: string) {
    super(`refused with ${status}`)
    this.status = status
    this.contentType = contentType
  }
}

/** How an attempt to open a socket was refused. */
export const refusal = (opening: Promise<Socket>): Promise<Refused> =>
  opening.then(
    () => {
      throw new Error('the socket opened')
    },
    (err: unknown) => {
      if (err instanceof Refused) return err
      throw err
    }
  )
