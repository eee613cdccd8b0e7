import { request as sendRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { pipeline } from 'node:stream/promises'
import type { TunnelOptions } from './tunnel.ts'

/** The parts of `http://host[:port]/path`, which a client sends to a proxy; undefined for every other target. */
export function parseAbsolute(url: string): { authority: string; path: string } | undefined {
  const [, authority, rest] = /^http:\/\/([^/?#@\\]+)([/?][^#]*)?$/i.exec(url) ?? []
  if (authority === undefined) return undefined
  const path = rest === undefined || rest.startsWith('?') ? `/${rest ?? ''}` : rest
  return { authority: /:\d+$/.test(authority) ? authority : `${authority}:80`, path }
}

/** Headers that concern one connection, not the whole way. */
const HOP_BY_HOP = new Set([
  'connection',
  'expect',
  'keep-alive',
  'proxy-connection',
  'proxy-authorization',
  'proxy-authenticate',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade'
])

function withoutHops({ rawHeaders, headers }: IncomingMessage, ...more: string[]): string[] {
  const named = headers.connection?.toLowerCase().split(',') ?? []
  const left = new Set([...HOP_BY_HOP, ...named.map((name) => name.trim()), ...more])
  const kept: string[] = []
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const [name = '', value = ''] = rawHeaders.slice(at, at + 2)
    if (!left.has(name.toLowerCase())) kept.push(name, value)
  }
  return kept
}

export interface Forwarding extends TunnelOptions {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly upstream: Socket
  /** For the `Host` header: a client may not name another site than it asked the proxy for. */
  readonly authority: string
  readonly path: string
}

/** Sends one plain HTTP request on, and its answer back. Rejects when either side breaks off. */
export async function forward(exchange: Forwarding): Promise<void> {
  const { request, response, upstream, authority, path, onBytes, idleMs } = exchange
  const end = () => {
    request.destroy()
    upstream.destroy()
  }
  const idle = setTimeout(end, idleMs)
  const count = (chunk: Buffer) => {
    idle.refresh()
    if (!onBytes(chunk.length)) end()
  }
  const isChunked = request.headers['transfer-encoding'] !== undefined
  const outgoing = sendRequest({
    method: request.method,
    path,
    headers: [
      ...withoutHops(request, 'host'),
      ...['Host', authority.replace(/:80$/, ''), 'Connection', 'close'],
      ...(isChunked ? ['Transfer-Encoding', 'chunked'] : [])
    ],
    createConnection: () => upstream
  })
  try {
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      outgoing.once('response', resolve)
      outgoing.once('error', reject)
      outgoing.once('close', () => reject(new Error('the server closed the connection')))
    })
    request.on('data', count)
    // A server may answer before it has read the whole body. When the body breaks off, so does the request.
    pipeline(request, outgoing).catch(() => {})
    const answer = await answered
    answer.on('data', count)
    response.writeHead(answer.statusCode ?? 502, answer.statusMessage, [
      ...withoutHops(answer),
      ...['Connection', 'close']
    ])
    await pipeline(answer, response)
  } finally {
    clearTimeout(idle)
    end()
  }
}
