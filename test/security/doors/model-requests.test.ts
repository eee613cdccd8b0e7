import t from 'tap'
import { ask, bodyOf, givenGateway, turnHeader } from '../../src/gateway/given-gateway.ts'
import { drip, flood, longestBlockMs, openRaw } from './wire.ts'

const MIB = 1024 * 1024
const TIMES = { headersMs: 500, bodyGraceMs: 500, unreadBodyMs: 500 }
const PATIENCE_MS = 8000
/** Eight deep bodies of 30 MB blocked the process for 81 s. */
const BLOCK_MS_MAX = 500

/** What Kilo sends with each request of the running turn. */
const agentHeaders = (token: string) => ({
  authorization: `Bearer ${token}`,
  'x-session-id': 'ses_root',
  ...turnHeader(token)
})
const linesOf = (headers: Record<string, string>) =>
  Object.entries(headers).map(([name, value]) => `${name}: ${value}`)

t.test('refuses requests that are slow to parse, and is not blocked by them', async (t) => {
  const { gateway, job } = await givenGateway(t)
  const { token } = await job()
  const url = `${gateway.addressOf('openai-compatible')}/chat/completions`
  const headers = agentHeaders(token)
  for (const [name, parts, refused] of [
    [
      'deep',
      [
        ['[', 15 * MIB],
        [']', 15 * MIB]
      ],
      [400, 429]
    ],
    [
      'flat',
      [
        ['{"messages":[', 1],
        ['{},', 10 * MIB],
        ['1]}', 1]
      ],
      [413, 429]
    ]
  ] as const) {
    const blockedMs = await longestBlockMs(async () => {
      const answers = await flood({ url, headers, parts, count: 8 })
      for (const { status } of answers)
        t.ok(refused.includes(status as never), `${name}: ${status}`)
    })
    t.ok(blockedMs < BLOCK_MS_MAX, `${name} requests blocked for ${Math.round(blockedMs)} ms`)
  }
  t.equal(
    (await ask(url, token, bodyOf([{ say: 'hi' }]))).status,
    200,
    'the next request is served'
  )
})

t.test('forwards a large prompt as it is', async (t) => {
  const { gateway, job, model } = await givenGateway(t)
  const { token, closed } = await job({ held: 1_000_000, funds: 10_000_000 })
  const url = `${gateway.addressOf('openai-compatible')}/chat/completions`
  const words = '"quoted" é \\ \n'.repeat(0.5 * MIB)
  t.match(await ask(url, token, bodyOf([{ say: 'hi' }], {}, words)), { status: 200, broken: false })
  const input = model.requests.at(-1)?.usage.input ?? 0
  t.ok(input > words.length / 8, `${input} tokens for ${words.length} characters`)
  t.match(await closed(), [{ state: 'done', usage: { input } }])
})

t.test('limits the bytes of the concurrent requests of one agent', async (t) => {
  const { gateway, job } = await givenGateway(t, { times: TIMES })
  const [mine, theirs] = [await job(), await job()]
  const url = gateway.addressOf('openai-compatible')
  const open = async (token: string) => {
    const connection = await openRaw(url, (end) => t.teardown(end))
    const lines = [
      'POST /openai-compatible/v1/chat/completions HTTP/1.1',
      'Host: x',
      ...linesOf(agentHeaders(token)),
      `Content-Length: ${30 * MIB}`
    ]
    connection.write(`${lines.join('\r\n')}\r\n\r\n`)
    return connection
  }
  const allowed = await Promise.all([1, 2, 3].map(() => open(mine.token)))
  await new Promise((resolve) => setTimeout(resolve, 100))
  const over = await open(mine.token)
  await over.closed(300)
  t.match(over.received(), /^HTTP\/1.1 429 .*retry-after: 1/is)
  for (const connection of allowed) t.equal(connection.received(), '')
  const other = await ask(`${url}/chat/completions`, theirs.token, bodyOf([{ say: 'hi' }]))
  t.equal(other.status, 200, 'another project is served')
  for (const connection of allowed) {
    t.ok(await connection.closed(PATIENCE_MS), 'a request that sends nothing is ended')
    t.match(connection.received(), /^HTTP\/1.1 408 /)
  }
  const again = await ask(`${url}/chat/completions`, mine.token, bodyOf([{ say: 'hi' }]))
  t.equal(again.status, 200, 'the bytes are given back')
})

t.test('ends requests that drip', async (t) => {
  const { gateway, job } = await givenGateway(t, { times: TIMES })
  const running = await job()
  const ended = await job()
  await ended.end()
  const url = gateway.addressOf('openai-compatible')
  const head = (token: string) =>
    [
      'POST /openai-compatible/v1/chat/completions HTTP/1.1',
      'Host: x',
      ...(token ? linesOf(agentHeaders(token)) : []),
      'Content-Length: 100000'
    ].join('\r\n')
  for (const [name, text, status] of [
    ['headers', 'POST / HTTP/1.1\r\nHost: x\r\nX-Slow: ', 408],
    ['a body', `${head(running.token)}\r\n\r\n{`, 408],
    ['a body without a token', `${head('')}\r\n\r\n{`, 401],
    ['a body without a running job', `${head(ended.token)}\r\n\r\n{`, 403],
    ['a body to no route', 'POST /none HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n{', 404]
  ] as const) {
    const connection = await openRaw(url, (end) => t.teardown(end))
    connection.write(text)
    const ms = await drip(connection, PATIENCE_MS)
    t.ok(ms, `${name}: the connection is closed after ${Math.round(ms ?? 0)} ms`)
    t.match(connection.received(), new RegExp(`^HTTP/1.1 ${status} `), name)
  }
})
