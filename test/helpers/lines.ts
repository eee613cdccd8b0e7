import { once } from 'node:events'
import { createParser } from 'eventsource-parser'
import { WebSocket } from 'ws'
import { SUBPROTOCOL, type Frame } from '#kernel/frames.ts'
import type { OpenLine } from './dropping-reader.ts'

interface Where {
  readonly url: string
  readonly key: string
  readonly projectId: string
}

/** How a line may end without anything being wrong: by its reader, with the server, or without a word. */
const GOOD_ENDS: ReadonlySet<number> = new Set([1000, 1005, 1006, 1012])

/** A WebSocket that asks for one project. */
export const openSocket =
  ({ url, key, projectId }: Where): OpenLine =>
  async (onFrame) => {
    const socket = new WebSocket(`${url.replace('http', 'ws')}/ws`, SUBPROTOCOL, {
      headers: { authorization: `Bearer ${key}` }
    })
    socket.on('error', () => {})
    const opening = await once(socket, 'open').catch((error: Error) => error)
    if (opening instanceof Error) return awayOr(opening, /response: 4/.test(opening.message))
    const closed = Promise.withResolvers<void>()
    socket.on('close', (code) => {
      if (GOOD_ENDS.has(code)) closed.resolve()
      else closed.reject(new Error(`the socket was closed with ${code}`))
    })
    socket.on('message', (data: Buffer) => {
      const message = JSON.parse(data.toString()) as { type: string; seq?: number }
      if (message.seq !== undefined) onFrame(message as Frame)
      else if (message.type === 'resync') closed.reject(new Error('the server sent resync'))
    })
    return {
      closed: closed.promise,
      subscribe: (after) => socket.send(JSON.stringify({ type: 'subscribe', projectId, after })),
      close: () => socket.close(),
      cut: () => socket.terminate()
    }
  }

/** Server-sent events of one project, as an EventSource asks for them when it comes back. */
export const openEventSource =
  ({ url, key, projectId }: Where): OpenLine =>
  async (onFrame) => {
    const leaving = new AbortController()
    const closed = Promise.withResolvers<void>()
    const headers = { authorization: `Bearer ${key}`, accept: 'text/event-stream' }
    const listen = async (after: number) => {
      const response = await fetch(`${url}/projects/${projectId}/events`, {
        signal: leaving.signal,
        headers: { ...headers, 'last-event-id': String(after) }
      })
      if (response.status >= 400 && response.status < 500) {
        return closed.reject(new Error(`the event stream answered ${response.status}`))
      }
      const parser = createParser({
        onEvent({ event, data }) {
          if (event === 'resync') closed.reject(new Error('the server sent resync'))
          else onFrame(JSON.parse(data) as Frame)
        }
      })
      const decoder = new TextDecoder()
      for await (const bytes of response.body!) parser.feed(decoder.decode(bytes, { stream: true }))
    }
    const leave = () => {
      leaving.abort()
      closed.resolve()
    }
    return {
      closed: closed.promise,
      // However it breaks, its reader comes back.
      subscribe: (after) =>
        void listen(after)
          .catch(() => {})
          .then(closed.resolve),
      close: leave,
      cut: leave
    }
  }

function awayOr(error: Error, refused: boolean): undefined {
  if (refused) throw error
}
