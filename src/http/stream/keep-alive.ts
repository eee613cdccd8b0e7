import type { WebSocket } from '@fastify/websocket'
import type { Timings } from '../app-deps.ts'

/** Pings a socket at every beat, and ends one that has answered nothing for too long. Returns how to stop. */
export function keepAlive(
  socket: WebSocket,
  { heartbeatMs, silenceMs }: Timings,
  beat: () => void
): () => void {
  /** When the first ping was sent that nothing has answered. */
  let askedAt: number | undefined
  const hear = () => {
    askedAt = undefined
  }
  for (const sign of ['pong', 'ping', 'message'] as const) socket.on(sign, hear)

  const isSilent = () => askedAt !== undefined && performance.now() - askedAt > silenceMs
  const ask = () => {
    askedAt ??= performance.now()
    socket.ping()
  }

  const beating = setInterval(() => {
    // When we have been busy a beat comes before we hear what was answered meanwhile.
    if (isSilent()) return setImmediate(() => isSilent() && socket.terminate())
    if (socket.readyState !== socket.OPEN) return
    ask()
    beat()
  }, heartbeatMs)
  return () => clearInterval(beating)
}
