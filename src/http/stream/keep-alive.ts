import type { WebSocket } from '@fastify/websocket'
import type { Timings } from '../app-deps.ts'

/** Pings a socket every `heartbeatMs`, and terminates it after `silenceMs` without an answer. Returns how to stop. */
export function keepAlive(
  socket: WebSocket,
  { heartbeatMs, silenceMs }: Timings,
  beat: () => void
): () => void {
  /** When the first unanswered ping was sent. */
  let pingedAt: number | undefined
  const answered = () => {
    pingedAt = undefined
  }
  for (const event of ['pong', 'ping', 'message'] as const) socket.on(event, answered)

  const isSilent = () => pingedAt !== undefined && performance.now() - pingedAt > silenceMs
  const ping = () => {
    pingedAt ??= performance.now()
    socket.ping()
  }

  const beating = setInterval(() => {
    // After a blocked event loop the timer fires before the received answers are handled: check once more after them.
    if (isSilent()) return setImmediate(() => isSilent() && socket.terminate())
    if (socket.readyState !== socket.OPEN) return
    ping()
    beat()
  }, heartbeatMs)
  return () => clearInterval(beating)
}
