import t, { type Test } from 'tap'
import { LIMITS } from '#kernel/limits.ts'
import { givenDoors, type Person } from '../../src/http/given-doors.ts'
import { listen } from '../../src/http/stream/given-socket.ts'
import { drip, flood, longestBlockMs, openRaw, type Flood } from './wire.ts'

const MIB = 1024 * 1024
const TIMINGS = { headersMs: 500, bodyGraceMs: 500, unreadBodyMs: 500 }
const PATIENCE_MS = 8000
/** Without limits one of these bodies blocked the process for 1.6 to 4 s. */
const BLOCK_MS_MAX = 500

async function given(t: Test) {
  const doors = await givenDoors(t, { timings: TIMINGS })
  const ada = await doors.person()
  const project = await ada.project()
  const url = await listen(doors.app)
  return { doors, ada, project, url }
}

const post = (url: string, person: Person, body: string | Buffer<ArrayBuffer>, method = 'POST') =>
  fetch(url, {
    method,
    headers: { authorization: `Bearer ${person.key}`, 'content-type': 'application/json' },
    body
  })

t.test('limits the bytes of a body by its route', async (t) => {
  const { ada, project, url } = await given(t)
  for (const [method, path, limitBytes] of [
    ['POST', '/ws-tickets', 256 * 1024],
    ['POST', '/wallet/purchase', 256 * 1024],
    ['PATCH', `/projects/${project}`, 256 * 1024],
    ['POST', `/projects/${project}/ai-command`, 2 * MIB],
    ['PUT', `/projects/${project}/files/a`, 16 * MIB],
    ['POST', '/projects', 16 * MIB]
  ] as const) {
    const large = await post(url + path, ada, `{"x":"${'a'.repeat(limitBytes)}"}`, method)
    t.equal(large.status, 413, `${method} ${path}`)
    t.match(await large.json(), { code: 'payload_too_large', limitBytes })
    const fits = await post(url + path, ada, `{"x":"${'a'.repeat(limitBytes - 8)}"}`, method)
    t.equal(fits.status, 400, `${method} ${path} reads a body of the limit`)
  }
})

t.test('accepts the largest prompt in every encoding', async (t) => {
  const { ada, project, url } = await given(t)
  const text = '\u{1f600}'.repeat(LIMITS.promptCharsMax)
  const escaped = '\\ud83d\\ude00'.repeat(LIMITS.promptCharsMax)
  for (const body of [JSON.stringify({ text }), `{"text":"${escaped}"}`]) {
    const answer = await post(`${url}/projects/${project}/ai-command?dryRun=true`, ada, body)
    t.equal(answer.status, 200)
  }
})

t.test('refuses bodies that are slow to parse, and is not blocked by them', async (t) => {
  const { ada, url } = await given(t)
  const headers = { authorization: `Bearer ${ada.key}`, 'content-type': 'application/json' }
  const attacks: [string, Flood['parts'], number, object][] = [
    [
      'arrays',
      [
        ['[', 8 * MIB],
        [']', 8 * MIB]
      ],
      400,
      { limitDepth: 64 }
    ],
    ['objects', [['{"a":', 3 * MIB]], 400, { limitDepth: 64 }],
    [
      'many objects',
      [
        ['[', 1],
        ['{},', 5 * MIB],
        ['1]', 1]
      ],
      413,
      { limitValues: 20_000 }
    ],
    [
      'many keys',
      [
        ['{', 1],
        ['"a":1,', 2.5 * MIB],
        ['"b":1}', 1]
      ],
      413,
      { limitValues: 20_000 }
    ]
  ]
  for (const [name, parts, status, facts] of attacks) {
    const blockedMs = await longestBlockMs(async () => {
      const answers = await flood({ url: `${url}/projects`, headers, parts, count: 3 })
      for (const answer of answers) {
        t.equal(answer.status, status, name)
        t.match(JSON.parse(answer.text), facts)
      }
    })
    t.ok(blockedMs < BLOCK_MS_MAX, `${name} blocked for ${Math.round(blockedMs)} ms`)
  }
})

t.test('parses a large body without blocking, as exactly as a small one', async (t) => {
  const { ada, project, url } = await given(t)
  const content = `${'"\\\n'.repeat(1.2 * MIB)}é`
  const saved = await post(
    `${url}/projects/${project}/files/a`,
    ada,
    JSON.stringify({ content }),
    'PUT'
  )
  t.equal(saved.status, 201)
  const { body } = await ada.call('GET', `/projects/${project}/files/a`)
  t.ok(body.content === content)

  const padding = `"x":"${'a'.repeat(MIB)}"`
  for (const [name, large] of [
    ['no JSON', `{${padding}`],
    ['a prototype', `{${padding},"__proto__":{}}`],
    ['a prototype inside', `{${padding},"files":[{"constructor":{"prototype":{}}}]}`],
    [
      'not UTF-8',
      Buffer.concat([Buffer.from(`{${padding},"y":"`), Buffer.from([0xff]), Buffer.from('"}')])
    ]
  ] as const) {
    const answer = await post(`${url}/projects`, ada, large)
    t.equal(answer.status, 400, name)
    t.match(await answer.json(), { detail: 'The body must be valid JSON in UTF-8' })
  }
})

t.test('limits the bytes of concurrent bodies of a user', async (t) => {
  const { ada, doors, url } = await given(t)
  const bob = await doors.person()
  const bytes = 12 * MIB
  const open = async ({ key }: Person) => {
    const connection = await openRaw(url, (end) => t.teardown(end))
    const lines = [
      'POST /projects HTTP/1.1',
      'Host: x',
      `Authorization: Bearer ${key}`,
      'Content-Type: application/json',
      `Content-Length: ${bytes}`
    ]
    connection.write(`${lines.join('\r\n')}\r\n\r\n`)
    return connection
  }
  const allowed = await Promise.all(Array.from({ length: 4 }, () => open(ada)))
  await new Promise((resolve) => setTimeout(resolve, 100))
  const over = await open(ada)
  await over.closed(300)
  t.match(over.received(), /^HTTP\/1.1 429 /)
  t.match(over.received(), /retry-after: 1/i)
  for (const connection of allowed) t.equal(connection.received(), '')
  t.equal(
    (await post(`${url}/projects`, bob, '{"name":"x"}')).status,
    201,
    'another user is served'
  )
  for (const connection of allowed) await connection.closed(PATIENCE_MS)
  t.equal(
    (await post(`${url}/projects`, ada, '{"name":"x"}')).status,
    201,
    'the bytes are given back'
  )
})

t.test('ends requests that drip', async (t) => {
  const { ada, project, url } = await given(t)
  const head = (authorization: string) =>
    [
      `PUT /projects/${project}/files/a HTTP/1.1`,
      'Host: x',
      ...(authorization ? [`Authorization: Bearer ${authorization}`] : []),
      'Content-Type: application/json',
      'Content-Length: 100000'
    ].join('\r\n')
  for (const [name, text, status] of [
    ['headers', 'GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: ', 408],
    ['nothing at all', '', 408],
    ['a body', `${head(ada.key)}\r\n\r\n{`, 408],
    ['a body without a key', `${head('')}\r\n\r\n{`, 401],
    ['a body with a wrong key', `${head('kw_wrong')}\r\n\r\n{`, 401],
    [
      'a body to no route',
      'POST /none HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n{',
      404
    ],
    ['a body of a GET', 'GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n{', 200]
  ] as const) {
    const connection = await openRaw(url, (end) => t.teardown(end))
    connection.write(text)
    const ms = text ? await drip(connection, PATIENCE_MS) : await connection.closed(PATIENCE_MS)
    t.ok(ms, `${name}: the connection is closed after ${Math.round(ms ?? 0)} ms`)
    t.match(connection.received(), new RegExp(`^HTTP/1.1 ${status} `), name)
  }
})

t.test('a client that is still sending reads the refusal', async (t) => {
  const { doors, url } = await given(t)
  const anonymous = { ...(await doors.person(0)), key: `kw_${'x'.repeat(43)}` }
  for (let time = 0; time < 5; time += 1) {
    const answer = await post(`${url}/projects`, anonymous, Buffer.alloc(12 * MIB, ' '))
    t.equal(answer.status, 401)
  }
})
