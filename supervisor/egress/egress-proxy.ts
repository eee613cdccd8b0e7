import { createServer, STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { AllowEntry } from '#net'
import type { Clock } from '#kernel/clock.ts'
import type { ProjectId } from '#kernel/ids.ts'
import type { Log } from '#kernel/log.ts'
import { createDestinations, type Resolve } from './destinations.ts'
import { EGRESS_LIMITS, type EgressLimits } from './egress-limits.ts'
import { forward, parseAbsolute } from './forward.ts'
import { createProjectUsage, type Share } from './project-usage.ts'
import {
  explain,
  shown,
  splitAuthority,
  type EgressRefusal,
  type RefusalReason
} from './refusals.ts'
import { dial, joinTunnel } from './tunnel.ts'

export interface EgressProxyOptions {
  readonly allow: readonly AllowEntry[]
  readonly bytesPerDay: number
  readonly onRefused: (refusal: EgressRefusal) => void
  readonly log: Log
  readonly clock: Clock
  readonly limits?: Partial<EgressLimits>
  readonly resolve?: Resolve
}

export interface EgressProxy extends Disposable {
  /** Serves a connection from the room of this project. */
  accept(projectId: ProjectId, connection: Duplex): void
}

/** An answer instead of a connection. The reason phrase has the text too: it is all that some clients show. */
interface Denial {
  readonly status: 400 | 403 | 502
  readonly text: string
}

interface Admitted {
  readonly share: Share
  readonly upstream: Socket
}

/**
 * The HTTP proxy through which rooms, which have no network, reach the destinations of `EGRESS_ALLOW`: by CONNECT, and
 * by requests for an `http://` address. It listens nowhere; rooms hand their connections over.
 *
 * A host is resolved once, its addresses are checked, and only these are connected to, so that a DNS answer that changes
 * between the check and the connection has no effect.
 */
export function createEgressProxy(options: EgressProxyOptions): EgressProxy {
  const limits = { ...EGRESS_LIMITS, ...options.limits }
  const { connectionsMax, idleMs } = limits
  const { bytesPerDay } = options
  const destinations = createDestinations(options.allow, options.resolve)
  const usage = createProjectUsage({ connectionsMax, bytesPerDay }, options.clock)
  /** Every connection that is open, with its project and the timer of its request. */
  const connections = new Map<
    Duplex,
    { readonly projectId: ProjectId; readonly headTimer: NodeJS.Timeout }
  >()

  const refuse = (
    projectId: ProjectId,
    refused: { reason: RefusalReason; host: string; port: number | undefined }
  ): Denial => {
    const { host, port, reason } = refused
    const text = explain(reason, port === undefined ? host : `${host}:${port}`)
    options.onRefused({ projectId, reason, host, port, text })
    return { status: 403, text }
  }

  const admit = async (projectId: ProjectId, authority: string): Promise<Admitted | Denial> => {
    const share = usage.open(projectId)
    if (typeof share === 'string') {
      return refuse(projectId, { reason: share, ...splitAuthority(authority) })
    }
    const found = await destinations.find(authority)
    const upstream =
      found.kind === 'found' ? await dial(found.addresses, found.port, limits) : undefined
    if (upstream) return { share, upstream }
    share[Symbol.dispose]()
    if (found.kind === 'refused') return refuse(projectId, found)
    const why = found.kind === 'unresolved' ? 'its name does not resolve' : 'it does not answer'
    return { status: 502, text: `${shown(authority)} cannot be reached: ${why}.` }
  }

  /** What transfers report their bytes to: the first of them that exceeds the project's bytes is a refusal. */
  const countFor = (projectId: ProjectId, share: Share, authority: string) => (bytes: number) => {
    if (share.add(bytes)) return true
    refuse(projectId, { reason: 'bytes_used_up', ...splitAuthority(authority) })
    return false
  }

  const serveTunnel = async (request: IncomingMessage, client: Duplex, head: Buffer) => {
    const projectId = projectOf(client)
    if (projectId === undefined) return void client.destroy()
    const authority = request.url ?? ''
    const admitted = await admit(projectId, authority)
    if ('status' in admitted) return void client.end(answerOf(admitted))
    const { upstream } = admitted
    using share = admitted.share
    if (client.destroyed) upstream.destroy()
    client.write('HTTP/1.1 200 Connection Established\r\n\r\n')
    if (head.length > 0) upstream.write(head)
    await joinTunnel(client, upstream, { idleMs, onBytes: countFor(projectId, share, authority) })
  }

  const servePlain = async (request: IncomingMessage, response: ServerResponse) => {
    const projectId = projectOf(request.socket)
    const target = parseAbsolute(request.url ?? '')
    if (projectId === undefined || !target) {
      return deny(response, {
        status: 400,
        text: 'This is an HTTP proxy: expected CONNECT or a request for an http:// address.'
      })
    }
    const { authority } = target
    const admitted = await admit(projectId, authority)
    if ('status' in admitted) return deny(response, admitted)
    const { upstream } = admitted
    using share = admitted.share
    upstream.on('error', () => {})
    const onBytes = countFor(projectId, share, authority)
    await forward({ request, response, upstream, ...target, idleMs, onBytes }).catch(() => {
      const text = `${shown(authority)} closed the connection before its answer was complete.`
      if (response.headersSent) response.destroy()
      else deny(response, { status: 502, text })
    })
  }

  /** The project of a connection whose request has arrived. */
  const projectOf = (connection: Duplex) => {
    const known = connections.get(connection)
    clearTimeout(known?.headTimer)
    return known?.projectId
  }

  const failed = (connection: Duplex) => (error: unknown) => {
    options.log.error({ err: error }, 'egress request failed')
    connection.destroy()
  }
  const server = createServer({ maxHeaderSize: limits.headBytesMax })
  server.on('connect', (request, client, head) => {
    void serveTunnel(request, client, head).catch(failed(client))
  })
  server.on('request', (request, response) => {
    void servePlain(request, response).catch(failed(request.socket))
  })

  return {
    accept(projectId, connection) {
      const headTimer = setTimeout(() => connection.destroy(), limits.headMs)
      connections.set(connection, { projectId, headTimer })
      connection.on('error', () => {})
      connection.once('close', () => {
        clearTimeout(headTimer)
        connections.delete(connection)
      })
      server.emit('connection', connection)
    },
    [Symbol.dispose]() {
      for (const connection of connections.keys()) connection.destroy()
    }
  }
}

function answerOf({ status, text }: Denial): string {
  const body = `${text}\n`
  return [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}: ${text}`,
    'Content-Type: text/plain; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    '',
    body
  ].join('\r\n')
}

function deny(response: ServerResponse, { status, text }: Denial): void {
  const headers = { 'content-type': 'text/plain; charset=utf-8', connection: 'close' }
  response.writeHead(status, `${STATUS_CODES[status]}: ${text}`, headers).end(`${text}\n`)
}
