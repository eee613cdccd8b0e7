import type { WebSocket } from '@fastify/websocket'
import type { Timings } from '../app-deps.ts'

/** Pings a socket at every beat, and ends one that has said nothing for too long. Returns how to stop. */
export function keepAlive(
  socket: WebSocket,
  { heartbeatMs, silenceMs }: Timings,
  beat: () => void
): () => void {
  let heardAt = performance.now()
  const hear = () => {
    heardAt = performance.now()
  }
  for (const sign of ['pong', 'ping', 'message'] as const) socket.on(sign, hear)

  const beating = setInterval(() => {
    if (performance.now() - heardAt > silenceMs) return socket.terminate()
    if (socket.readyState !== socket.OPEN) return
    socket.ping()
    beat()
  }, heartbeatMs)
  return () => clearInterval(beating)
}
