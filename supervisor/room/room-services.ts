import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { RoomService } from './room.ts'

/** One byte, after which the room passes on what its client sends: the service gets nothing but the client's bytes. */
const TAKEN = '+'

/** Joins a connection from a room to the service that was lent to it. */
export function serve(connection: Socket, service: RoomService): void {
  connection.on('error', () => {})
  connection.write(TAKEN)
  joinTo(service, connection)
}

export function joinTo(service: RoomService, connection: Duplex): void {
  if ('accept' in service) return service.accept(connection)
  const target =
    'socketPath' in service
      ? connect({ path: service.socketPath, allowHalfOpen: true })
      : connect({ port: service.port, host: service.host, allowHalfOpen: true })
  for (const [from, to] of [
    [connection, target],
    [target, connection]
  ] as const) {
    from.on('error', () => to.destroy())
    from.on('close', () => from.readableEnded || to.destroy())
    from.pipe(to)
  }
}
