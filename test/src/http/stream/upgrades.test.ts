import { once } from 'node:events'
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { LIMITS } from '#kernel/limits.ts'
import { ADMIN_KEY, givenDoors } from '../given-doors.ts'
import { listen, openSocket, refusal } from './given-socket.ts'

const ORIGIN = 'https://ide.example'

async function given(t: Test) {
  const doors = await givenDoors(t)
  const ada = await doors.person(0)
  const projectId = await ada.project()
  const url = await listen(doors.app)
  const ticket = async () =>
    (await ada.call('POST', '/ws-tickets', { projectId })).body.ticket as string
  return { doors, ada, url, ticket, projectId }
}

t.test('only a page of an allowed origin opens a socket', async (t) => {
  const { url, ticket } = await given(t)
  const refused = [
    'null',
    '',
    'http://ide.example',
    'https://ide.example:8443',
    'https://ide.example.evil.test',
    'https://evil.test/https://ide.example',
    'https://IDE.example',
    'https://xide.example',
    'http://localhost:3000',
    url
  ]
  const one = await ticket()
  for (const origin of refused) {
    const { status, contentType } = await refusal(
      openSocket(t, url, { path: `/ws?ticket=${one}`, headers: { origin } })
    )
    t.equal(status, 403, `'${origin}'`)
    t.match(contentType, 'application/problem+json')
  }
  await openSocket(t, url, { path: `/ws?ticket=${one}`, headers: { origin: ORIGIN } })
  t.pass('and no refusal has used the ticket')
})

t.test('a key that comes with a foreign origin does not help', async (t) => {
  const { ada, url } = await given(t)
  const headers = { authorization: `Bearer ${ada.key}`, origin: 'https://evil.test' }
  t.equal((await refusal(openSocket(t, url, { headers }))).status, 403)
})

t.test('refuses a client without a ticket or a key', async (t) => {
  const { doors, url, ticket, projectId } = await given(t)
  const old = await ticket()
  await doors.db
    .updateTable('ws_tickets')
    .set({ expires_at: new Date(0) })
    .execute()

  for (const [says, path, authorization] of [
    ['nothing', '/ws', undefined],
    ['an empty ticket', '/ws?ticket=', undefined],
    ['a guess', '/ws?ticket=guess', undefined],
    ['one that has run out', `/ws?ticket=${old}`, undefined],
    ['a wrong key', '/ws', 'Bearer kw_wrong'],
    ['no scheme', '/ws', 'kw_wrong'],
    ['a wrong key beside a good ticket', `/ws?ticket=${await ticket()}`, 'Bearer kw_wrong']
  ] as const) {
    const headers = authorization ? { authorization } : {}
    t.equal((await refusal(openSocket(t, url, { path, headers }))).status, 401, says)
  }
  const headers = { authorization: `Bearer ${ADMIN_KEY}` }
  t.equal((await refusal(openSocket(t, url, { headers }))).status, 403, "the operator's key")
  t.ok(projectId)
})

t.test('a ticket is given for a project of one’s own', async (t) => {
  const { doors, projectId, ada } = await given(t)
  const bob = await doors.person(0)
  t.equal((await bob.call('POST', '/ws-tickets', { projectId })).status, 404)
  const { status, body } = await ada.call('POST', '/ws-tickets', { projectId })
  t.equal(status, 201)
  const left = new Date(body.expiresAt).getTime() - Date.now()
  t.ok(left > 0 && left <= LIMITS.ticketTtlMs)
})

/** Writes bytes to the port, and reads what comes until the server hangs up. */
async function raw(url: string, text: string, patienceMs = 3000): Promise<string> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  let answer = ''
  socket.on('data', (chunk) => (answer += chunk.toString()))
  socket.on('error', () => {})
  socket.write(text)
  const patience = setTimeout(() => socket.destroy(), patienceMs)
  await once(socket, 'close')
  clearTimeout(patience)
  return answer
}

const upgrade = (path: string, lines: Record<string, string | undefined>) => {
  const headers = {
    Host: 'x',
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Protocol': 'kilowatt.v1',
    ...lines
  }
  const list = Object.entries(headers).filter(([, value]) => value !== undefined)
  return `GET ${path} HTTP/1.1\r\n${list.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`
}

t.test('a malformed upgrade is refused before it opens, and the server lives on', async (t) => {
  const { ada, url, doors } = await given(t)
  const key = { Authorization: `Bearer ${ada.key}` }
  for (const [says, path, lines, status] of [
    ['no key', '/ws', { 'Sec-WebSocket-Key': undefined }, 400],
    ['a short key', '/ws', { 'Sec-WebSocket-Key': 'abc' }, 400],
    ['an old version', '/ws', { 'Sec-WebSocket-Version': '8' }, 400],
    ['no version', '/ws', { 'Sec-WebSocket-Version': undefined }, 400],
    ['no subprotocol', '/ws', { 'Sec-WebSocket-Protocol': undefined }, 400],
    ['another subprotocol', '/ws', { 'Sec-WebSocket-Protocol': 'kilowatt.v2' }, 400],
    ['nonsense among subprotocols', '/ws', { 'Sec-WebSocket-Protocol': 'kilowatt.v1, ,' }, 400],
    ['one subprotocol twice', '/ws', { 'Sec-WebSocket-Protocol': 'kilowatt.v1, kilowatt.v1' }, 400],
    ['another protocol', '/ws', { Upgrade: 'h2c' }, 400],
    ['two tickets', '/ws?ticket=a&ticket=b', { Authorization: undefined }, 400]
  ] as const) {
    const answer = await raw(url, upgrade(path, { ...key, ...lines }))
    t.match(answer, new RegExp(`^HTTP/1.1 ${status} `), says)
    t.match(answer, /application\/problem\+json/, says)
  }
  for (const [says, path, lines, status] of [
    ['another address', '/projects', {}, 200],
    ['no address', '/nowhere', {}, 404],
    ['half a percent', '/%ZZ', {}, 400],
    ['another protocol', '/wallet', { Upgrade: 'h2c' }, 200]
  ] as const) {
    const answer = await raw(url, upgrade(path, { ...key, ...lines }), 2000)
    t.match(answer, new RegExp(`^HTTP/1.1 ${status} `), `${says} is answered as it stands`)
  }
  const good = await raw(
    url,
    upgrade('/ws', { ...key, 'Sec-WebSocket-Protocol': 'a, kilowatt.v1' })
  )
  t.match(good, /^HTTP\/1.1 101 /)
  t.match(good, /sec-websocket-protocol: kilowatt.v1\r\n/i)
  t.equal((await doors.app.inject('/livez')).statusCode, 200)
})

t.test('what is not even HTTP gets a problem, and is hung up on', async (t) => {
  const { url, doors } = await given(t)
  for (const bytes of [
    'hello\r\n\r\n',
    `GET /${'a'.repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`,
    `GET / HTTP/1.1\r\nHost: x\r\nX-Long: ${'a'.repeat(20_000)}\r\n\r\n`,
    'GET / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n'
  ]) {
    const answer = await raw(url, bytes)
    t.match(answer, /^HTTP\/1.1 400 /)
    t.match(answer, /application\/problem\+json/)
    t.match(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n'))), { code: 'invalid_request' })
  }
  t.equal((await doors.app.inject('/livez')).statusCode, 200)
})
