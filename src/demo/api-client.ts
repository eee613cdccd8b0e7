import type { Frame } from '#kernel/frames.ts'
import { SUBPROTOCOL } from '#kernel/frames.ts'

/** A client of the public API: REST with a key, frames over a WebSocket with a ticket. */
export interface ApiClient {
  post<T>(path: string, body?: unknown, headers?: Record<string, string>): Promise<T>
  get<T>(path: string): Promise<T>
  text(path: string, accept: string): Promise<string>
  /** The project's frames from now on, until the caller stops reading. */
  watch(projectId: string): Promise<AsyncGenerator<Frame>>
}

/** Throws an Error with the code and the detail of a refusal. */
export function createApiClient(url: string, key: string): ApiClient {
  const call = async (method: string, path: string, init: RequestInit = {}) => {
    const headers = { authorization: `Bearer ${key}`, ...(init.headers as Record<string, string>) }
    const response = await fetch(url + path, { method, ...init, headers })
    if (response.ok) return response
    const { code, detail } = (await response.json()) as { code: string; detail: string }
    throw new Error(`${method} ${path} was refused: ${code}, ${detail}`)
  }

  const client: ApiClient = {
    async post<T>(path: string, body: unknown = {}, headers: Record<string, string> = {}) {
      const response = await call('POST', path, {
        body: JSON.stringify(body),
        headers: { 'content-type': 'application/json', ...headers }
      })
      return (await response.json()) as T
    },
    async get<T>(path: string) {
      return (await (await call('GET', path)).json()) as T
    },
    async text(path, accept) {
      return (await call('GET', path, { headers: { accept } })).text()
    },
    async watch(projectId) {
      const { ticket } = await client.post<{ ticket: string }>('/ws-tickets', { projectId })
      return framesOf(`${url.replace('http', 'ws')}/ws?ticket=${ticket}`, projectId)
    }
  }
  return client
}

/** Resolves once the subscription is active, so that no later frame is missed. */
async function framesOf(url: string, projectId: string): Promise<AsyncGenerator<Frame>> {
  const socket = new WebSocket(url, SUBPROTOCOL)
  const waiting: Frame[] = []
  const subscribed = Promise.withResolvers<void>()
  let more = Promise.withResolvers<void>()
  let closed = false

  socket.onopen = () => socket.send(JSON.stringify({ type: 'subscribe', projectId }))
  socket.onclose = () => {
    closed = true
    subscribed.reject(new Error('the socket was closed'))
    more.resolve()
  }
  socket.onmessage = ({ data }) => {
    const frame = JSON.parse(String(data)) as Frame
    if (frame.type === 'snapshot') subscribed.resolve()
    if (frame.seq === undefined) return
    waiting.push(frame)
    more.resolve()
  }
  await subscribed.promise

  return (async function* () {
    try {
      for (;;) {
        yield* waiting.splice(0)
        if (closed) return
        if (waiting.length === 0) await more.promise
        more = Promise.withResolvers<void>()
      }
    } finally {
      socket.close()
    }
  })()
}
