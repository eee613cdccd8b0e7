import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { readFile } from 'node:fs/promises'
import { request } from 'undici'
import { WebSocketServer, type WebSocket } from 'ws'

/**
 * The floor that our stream is measured against, and no more than that: `/relay?from=…` is a socket that gets every
 * message of an event stream, `/texts` one that gets every line of a file that was read at the start.
 */
async function main(file = ''): Promise<void> {
  const texts = file === '' ? [] : (await readFile(file, 'utf8')).trimEnd().split('\n')
  const server = createServer()
  const sockets = new WebSocketServer({ server, perMessageDeflate: false })
  sockets.on('connection', (socket, { url = '/' }) => {
    const { pathname, searchParams } = new URL(url, 'http://floor')
    if (pathname === '/relay') relay(searchParams.get('from')!, socket).catch(() => socket.close())
    if (pathname === '/texts')
      socket.once('message', () => texts.forEach((text) => socket.send(text)))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  process.stdout.write(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}\n`)
}

async function relay(from: string, socket: WebSocket): Promise<void> {
  const leaving = new AbortController()
  socket.once('close', () => leaving.abort())
  const { body } = await request(from, { signal: leaving.signal, bodyTimeout: 0 })
  let waiting = ''
  for await (const piece of body.setEncoding('utf8') as AsyncIterable<string>) {
    const messages = (waiting + piece).split('\n\n')
    waiting = messages.pop()!
    for (const message of messages) socket.send(message.slice('data: '.length))
  }
}

await main(process.argv[2])
