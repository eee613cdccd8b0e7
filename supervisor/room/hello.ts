import { timingSafeEqual } from 'node:crypto'
import type { Socket } from 'node:net'
import { Type, type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { ROOM_LIMITS } from './room-limits.ts'

/** The first line of a connection from a room. */
const Hello = Type.Union([
  Type.Object({ token: Type.String(), for: Type.Literal('control') }),
  Type.Object({ token: Type.String(), for: Type.Literal('stream'), stream: Type.String() }),
  Type.Object({ token: Type.String(), for: Type.Literal('service'), port: Type.Integer() })
])
export type Hello = Static<typeof Hello>

const compiled = Compile(Hello)

/**
 * Reads the first line of a connection, and leaves the rest of what has arrived in the socket. Undefined when it is too
 * long, too late, no hello, or carries another token. The socket is read with `readable`, never with `data`: its flow must
 * stay undecided, since an HTTP agent does not read from a socket that was paused explicitly.
 */
export function readHello(socket: Socket, token: string): Promise<Hello | undefined> {
  return new Promise((resolve) => {
    let line = Buffer.alloc(0)
    const settle = (hello: Hello | undefined) => {
      clearTimeout(timer)
      socket.off('readable', read).off('close', fail).off('end', fail)
      resolve(hello)
    }
    const fail = () => settle(undefined)
    const read = () => {
      for (;;) {
        const chunk = socket.read() as Buffer | null
        if (chunk === null) return
        const end = chunk.indexOf('\n')
        line = Buffer.concat([line, end < 0 ? chunk : chunk.subarray(0, end)])
        if (line.length > ROOM_LIMITS.helloBytesMax) return fail()
        if (end < 0) continue
        const left = chunk.subarray(end + 1)
        settle(parse(line.toString(), token))
        if (left.length > 0) socket.unshift(left)
        return
      }
    }
    const timer = setTimeout(fail, ROOM_LIMITS.helloMs)
    socket.on('readable', read).on('close', fail).on('end', fail)
  })
}

function parse(line: string, token: string): Hello | undefined {
  try {
    const hello: unknown = JSON.parse(line)
    return compiled.Check(hello) && isSame(hello.token, token) ? hello : undefined
  } catch {
    return undefined
  }
}

function isSame(given: string, token: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(token)]
  return a.length === b.length && timingSafeEqual(a, b)
}
