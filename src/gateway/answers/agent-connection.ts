import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** The agent's side of an answer. */
export interface AgentConnection extends Disposable {
  readonly gone: boolean
  /** Aborts when the agent has disconnected and no one waits for the answer any more. */
  readonly timedOut: AbortSignal
  /** From now on a disconnect does not abort the request: the answer is read to its end, or for `drainMs`. */
  keepReading(): void
  /** Writes unless the agent has disconnected. When it reads slowly: resolves once it has read what was written. */
  write(data: Uint8Array | string): Promise<void> | undefined
  /** Ends the connection where the provider's broke, so that Kilo sees the failure as it happened. */
  reset(): void
}

/**
 * Observes whether the agent still reads the answer, and ends the drain time after it has disconnected. An agent that stays
 * connected and does not read is not awaited any longer once the signal aborts.
 */
export function watchAgent(
  response: ServerResponse,
  drainMs: number,
  signal: AbortSignal
): AgentConnection {
  const drainTimeout = new AbortController()
  let timer: NodeJS.Timeout | undefined
  let gone = false
  let isKept = false
  let wake = () => {}
  const disconnected = () => {
    gone = true
    wake()
    if (response.writableFinished) return
    if (isKept) timer ??= setTimeout(() => drainTimeout.abort(), drainMs)
    else drainTimeout.abort()
  }
  const go = () => wake()
  response.on('close', disconnected)
  response.on('drain', go)
  signal.addEventListener('abort', go)
  if (response.destroyed) disconnected()

  return {
    get gone() {
      return gone
    },
    timedOut: drainTimeout.signal,
    keepReading() {
      isKept = true
    },
    write(data) {
      if (gone || response.write(data) || signal.aborted) return undefined
      return new Promise<void>((resolve) => (wake = resolve))
    },
    reset: () => reset(response.socket),
    [Symbol.dispose]() {
      clearTimeout(timer)
      response.off('close', disconnected)
      response.off('drain', go)
      signal.removeEventListener('abort', go)
    }
  }
}

/** A Unix socket cannot be reset. A room resets the connection inside instead when one of its services closes. */
function reset(socket: Socket | null): void {
  if (socket?.remoteAddress === undefined) socket?.destroy()
  else socket.resetAndDestroy()
}
