import { createServer as createHttpServer } from 'node:http'
import { createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { givenProxy, listening } from './given-proxy.ts'

const echo = () => createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket))

t.test('joins a client with a host of the list', async (t) => {
  const port = await listening(t, echo())
  const { tunnel, refusals } = await givenProxy(t, `127.0.0.1:${port}!private`)
  const { socket, answer } = await tunnel(`127.0.0.1:${port}`)
  t.match(answer, /^HTTP\/1\.1 200 /)
  socket.end('x'.repeat(1_000_000))
  let bytes = 0
  for await (const chunk of socket) bytes += (chunk as Buffer).length
  t.equal(bytes, 1_000_000, 'every byte comes back after the client has ended its direction')
  t.same(refusals, [])
})

t.test('passes on what a client sent together with its request', async (t) => {
  const port = await listening(t, echo())
  const { exchange } = await givenProxy(t, `localhost:${port}!private`)
  const { answer } = await exchange(`CONNECT localhost:${port} HTTP/1.1\r\n\r\nearly`, /early/)
  t.match(answer, /early$/)
})

t.test('refuses hosts and ports that the list does not have', async (t) => {
  const port = await listening(t, echo())
  const { tunnel, refusals, id } = await givenProxy(t, `127.0.0.1:${port}!private`)
  for (const authority of [`127.0.0.1:${port + 1}`, `localhost:${port}`, 'example.com:443']) {
    const { answer } = await tunnel(authority)
    const text = `Network access to ${authority} was refused: EGRESS_ALLOW does not list this host and port.`
    t.match(answer, `HTTP/1.1 403 Forbidden: ${text}\r\n`)
    t.ok(answer.endsWith(`\r\n\r\n${text}\n`))
  }
  t.match(refusals[2], { projectId: id, reason: 'not_allowed', host: 'example.com', port: 443 })
})

t.test('answers 502 for a host that does not resolve or answer', async (t) => {
  const port = await listening(t, echo())
  const gone = createServer()
  const free = await listening(t, gone)
  gone.close()
  const allow = `nowhere.invalid:${port},127.0.0.1:${free}!private`
  const { tunnel, refusals } = await givenProxy(t, allow)
  t.match((await tunnel(`nowhere.invalid:${port}`)).answer, /^HTTP\/1\.1 502 .*does not resolve/)
  t.match((await tunnel(`127.0.0.1:${free}`)).answer, /^HTTP\/1\.1 502 .*does not answer/)
  t.same(refusals, [], 'that is no refusal')
})

t.test('forwards requests for an http address', async (t) => {
  const seen: unknown[] = []
  const port = await listening(
    t,
    createHttpServer((request, response) => {
      const { method, url, headers } = request
      let body = ''
      request.on('data', (chunk) => (body += String(chunk)))
      request.on('end', () => {
        seen.push({ method, url, headers, body })
        response.writeHead(201, { 'x-answer': 'yes' }).end('made')
      })
    })
  )
  const { exchange, refusals } = await givenProxy(t, `127.0.0.1:${port}!private`)
  const { answer } = await exchange(
    `POST http://127.0.0.1:${port}/a?b=c HTTP/1.1\r\nHost: other.example\r\nContent-Length: 4\r\n` +
      'Connection: x-mine\r\nX-Mine: 1\r\nProxy-Authorization: secret\r\nX-Kept: 2\r\n\r\nbody' +
      `GET http://127.0.0.1:1/ HTTP/1.1\r\nHost: x\r\n\r\n`
  )
  t.match(answer, /^HTTP\/1\.1 201 [\s\S]*x-answer: yes[\s\S]*made/)
  t.match(seen, [{ method: 'POST', url: '/a?b=c', body: 'body', headers: { 'x-kept': '2' } }])
  const [{ headers }] = seen as [{ headers: Record<string, string> }]
  t.equal(headers['host'], `127.0.0.1:${port}`)
  t.notOk(headers['x-mine'] ?? headers['proxy-authorization'])
  t.equal(seen.length, 1)
  t.match(refusals, [{ host: '127.0.0.1', port: 1 }], 'a second request is checked by itself')

  for (const target of ['/', '*', 'https://127.0.0.1/', `ftp://127.0.0.1:${port}/`]) {
    t.match(
      (await exchange(`GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`)).answer,
      /^HTTP\/1\.1 400 /
    )
  }
  t.match(
    (await exchange('GET http://127.0.0.1/ HTTP/1.1\r\nHost: x\r\n\r\n')).answer,
    /^HTTP\/1\.1 403 .*127\.0\.0\.1:80 was refused/
  )
})

t.test('ends a forwarded answer that its server breaks off', async (t) => {
  const port = await listening(
    t,
    createServer((socket) => {
      socket.on('error', () => {})
      socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf'))
    })
  )
  const { exchange } = await givenProxy(t, `127.0.0.1:${port}!private`)
  const { answer } = await exchange(`GET http://127.0.0.1:${port}/ HTTP/1.1\r\nHost: x\r\n\r\n`)
  t.match(answer, /half\[broken\]$|half$/)
  const silent = await listening(
    t,
    createServer((socket) => socket.destroy())
  )
  const other = await givenProxy(t, `127.0.0.1:${silent}!private`)
  t.match(
    (await other.exchange(`GET http://127.0.0.1:${silent}/ HTTP/1.1\r\nHost: x\r\n\r\n`)).answer,
    /^HTTP\/1\.1 502 /
  )
})

t.test('bounds the connections of a project', async (t) => {
  const port = await listening(t, echo())
  const limits = { connectionsMax: 2 }
  const { tunnel, refusals } = await givenProxy(t, `127.0.0.1:${port}!private`, { limits })
  const authority = `127.0.0.1:${port}`
  const [first, second] = [await tunnel(authority), await tunnel(authority)]
  t.match(first.answer + second.answer, /200[\s\S]*200/)
  t.match((await tunnel(authority)).answer, /^HTTP\/1\.1 403 .*too many connections/)
  t.match(refusals, [{ reason: 'too_many_connections', host: '127.0.0.1', port }])
  first.socket.destroy()
  await sleep(50)
  t.match((await tunnel(authority)).answer, /^HTTP\/1\.1 200/, 'a closed connection is free again')
})

t.test('bounds the bytes of a project in a day', async (t) => {
  const sockets: Socket[] = []
  const port = await listening(
    t,
    createServer((socket) => void sockets.push(socket.on('error', () => {})))
  )
  let now = new Date('2026-01-01T23:00:00Z')
  const { tunnel, refusals } = await givenProxy(t, `127.0.0.1:${port}!private`, {
    bytesPerDay: 1000,
    clock: { now: () => now, monotonicMs: () => 0, sleep: () => Promise.resolve() }
  })
  const authority = `127.0.0.1:${port}`
  const { socket } = await tunnel(authority)
  const broken = new Promise((resolve) => socket.on('error', resolve).on('close', resolve))
  socket.resume().write('x'.repeat(600))
  await sleep(50)
  sockets[0]?.write('y'.repeat(600))
  await broken
  t.match((await tunnel(authority)).answer, /^HTTP\/1\.1 403 .*all bytes of today/)
  t.match(refusals, [{ reason: 'bytes_used_up' }, { reason: 'bytes_used_up' }])
  now = new Date('2026-01-02T00:00:00Z')
  t.match((await tunnel(authority)).answer, /^HTTP\/1\.1 200/, 'the next day has bytes again')
})

t.test('ends connections that send no request, a long one, or nothing more', async (t) => {
  const port = await listening(t, echo())
  const limits = { headMs: 200, idleMs: 200, headBytesMax: 1024 }
  const { exchange, tunnel } = await givenProxy(t, `127.0.0.1:${port}!private`, { limits })
  t.equal((await exchange('')).answer, '')
  t.equal((await exchange('CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: ')).answer, '')
  t.match((await exchange(`GET / HTTP/1.1\r\nX: ${'x'.repeat(2000)}\r\n\r\n`)).answer, / 431 /)
  t.match((await exchange('nonsense\r\n\r\n')).answer, / 400 /)
  const { socket } = await tunnel(`127.0.0.1:${port}`)
  await new Promise((resolve) => socket.resume().on('close', resolve))
  t.pass('a silent tunnel is closed')
})
