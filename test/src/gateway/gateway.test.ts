import { once } from 'node:events'
import { createServer, request as httpRequest, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { ceilingOf, priceOf, type Price } from '#billing'
import type { Step } from '#fixtures'
import { silentLog } from '#kernel/log.ts'
import { toCredits } from '#kernel/money.ts'
import { within } from '#kernel/waiting.ts'
import { until } from '../../helpers/patience.ts'
import { ANTHROPIC, ask, bodyOf, givenGateway, KEY, OPENAI, turnHeader } from './given-gateway.ts'

type Given = Awaited<ReturnType<typeof givenGateway>>

const addresses = ({ gateway }: Given): Record<string, string> => ({
  [OPENAI]: `${gateway.addressOf('openai-compatible')}/chat/completions`,
  [ANTHROPIC]: `${gateway.addressOf('anthropic')}/messages`
})
const say = 'A few words that the model says, in several pieces. '.repeat(4)

t.test('records the usage that the model counted, in both protocols', async (t) => {
  const it = await givenGateway(t)
  const usage = { input: 700, output: 50, cacheRead: 300 }
  const cases: [string, Step, object, string][] = [
    ['streamed', { say }, {}, 'served'],
    ['not streamed', { say }, { stream: false }, 'served'],
    ['usage not asked for', { say }, { stream_options: { include_usage: false } }, 'served'],
    ['from the cache', { say, usage }, {}, 'served'],
    ['reasoning', { think: 'hm '.repeat(20), say }, {}, 'served'],
    ['without usage', { say, noUsage: true }, {}, 'estimated'],
    ['without usage, not streamed', { say, noUsage: true }, { stream: false }, 'estimated'],
    ['reset by the provider', { say, reset: 'mid' }, {}, 'estimated'],
    ['broken JSON', { say, malformed: true }, {}, 'estimated'],
    ['ended by the length limit', { say, finish: 'length' }, {}, 'served'],
    ['an error', { fail: 500 }, {}, 'refused'],
    ['no answer', { reset: 'before' }, {}, 'unanswered']
  ]
  for (const [model, url] of Object.entries(addresses(it))) {
    const price = it.prices.find(model) as Price
    for (const [says, step, more, outcome] of cases) {
      await t.test(`${model}, ${says}`, async (t) => {
        const job = await it.job({ model })
        const { broken } = await ask(url, job.token, bodyOf([step], more))
        t.equal(broken, 'reset' in step, 'a connection breaks on both sides')
        const [row] = await job.closed()
        const served = it.model.requests.at(-1)!
        t.match(row, { outcome, model, agentSessionId: 'ses_root', kind: 'turn' })
        t.equal(row?.cost, priceOf(served.usage, price))
      })
    }
  }
  const anthropicCache = { input: 1000, output: 50, cacheRead: 3000, cacheWrite: 700 }
  await t.test('records cache reads and writes in the protocol that reports both', async (t) => {
    const job = await it.job({ model: ANTHROPIC })
    await ask(addresses(it)[ANTHROPIC]!, undefined, bodyOf([{ say, usage: anthropicCache }]), {
      headers: { 'x-api-key': job.token }
    })
    const [row] = await job.closed()
    t.match(row?.usage, anthropicCache)
    t.equal(
      row?.cost,
      priceOf({ ...anthropicCache, reasoning: 0 }, it.prices.find(ANTHROPIC) as Price)
    )
  })
})

t.test('passes bytes on unchanged and without delay', async (t) => {
  const it = await givenGateway(t)
  const job = await it.job()
  const url = addresses(it)[OPENAI]!
  const slow = bodyOf([{ say: 'ä'.repeat(40), chunks: 4, chunkMs: 150 }])
  const seen = await ask(url, job.token, slow, { leaveAfter: 1 })
  t.equal(it.model.requests[0]?.outcome, 'open', 'the first piece does not wait for the last')
  t.equal(seen.status, 200)

  const through = await ask(url, job.token, bodyOf([{ say }]))
  const direct = await ask(`${it.model.url}/chat/completions`, KEY, bodyOf([{ say }]))
  const same = (text: string) => text.replaceAll(/"(id|created)":("[^"]*"|\d+)/g, '')
  t.equal(same(through.text), same(direct.text))
  t.equal(through.headers['content-type'], direct.headers['content-type'])
})

t.test('breaks the answer of a provider that is silent for too long', async (t) => {
  const it = await givenGateway(t, { times: { silenceMs: 1500 } })
  for (const model of [OPENAI, ANTHROPIC]) {
    const job = await it.job({ model })
    const silent = bodyOf([{ say: 'only half of this is ever sent', hang: 'mid' }])
    const { broken } = await ask(addresses(it)[model]!, job.token, silent)
    t.ok(broken, `${model}: the agent's connection breaks where the provider's did`)
    const pauses = bodyOf([{ say: 'word '.repeat(12), chunks: 12, chunkMs: 200 }])
    const slow = await ask(addresses(it)[model]!, job.token, pauses)
    t.notOk(slow.broken, `${model}: slow is not silent`)
    const rows = await job.closed()
    t.same(
      rows.map(({ outcome }) => outcome),
      ['estimated', 'served']
    )
  }
})

t.test('after the agent disconnects, reads the answer to its end or until drainMs', async (t) => {
  const long: Step = { say: 'word '.repeat(40), chunks: 40, chunkMs: 10 }
  const leave = async (t: Test, drainMs: number, model: string) => {
    const it = await givenGateway(t, { times: { drainMs } })
    const job = await it.job({ model })
    await ask(addresses(it)[model]!, job.token, bodyOf([long]), { leaveAfter: 700 })
    const [row] = await job.closed()
    const served = it.model.requests[0]!
    return { row: row!, served }
  }
  for (const model of [OPENAI, ANTHROPIC]) {
    await t.test(`${model}: to its end`, async (t) => {
      const { row, served } = await leave(t, 30_000, model)
      t.match([row.outcome, served.outcome], ['served', 'served'])
      t.match(row.usage, served.usage)
    })
    await t.test(`${model}: until drainMs, and charges the known usage`, async (t) => {
      const { row, served } = await leave(t, 60, model)
      t.equal(row.outcome, 'estimated')
      await until('the model to notice', () => served.outcome !== 'open')
      t.equal(served.outcome, 'aborted')
      t.equal(row.usage.input, served.usage.input)
      t.ok(row.usage.output > 0 && Math.abs(row.usage.output - served.usage.output) <= 2)
    })
  }
})

t.test('refuses a wrong token, model or request before it reaches the model', async (t) => {
  const it = await givenGateway(t)
  const url = addresses(it)[OPENAI]!
  const job = await it.job()
  const body = bodyOf([{ say }])
  const more = (words: object) => bodyOf([{ say }], words)
  const refused: [string, string | undefined, unknown, number][] = [
    ['no token', undefined, body, 401],
    ['a wrong token', 'gw_unknown', body, 401],
    ["the provider's own key", KEY, body, 401],
    ['a model without a price', job.token, more({ model: 'mystery' }), 403],
    ['a model that is not the job’s', job.token, more({ model: 'gpt-5.4' }), 403],
    ['not JSON', job.token, '{', 400],
    ['not an object', job.token, '[]', 400],
    ['no model', job.token, {}, 400],
    ['several answers', job.token, more({ n: 9 }), 400],
    ['a search that costs extra', job.token, more({ web_search_options: {} }), 400],
    ['a tool that costs extra', job.token, more({ tools: [{ type: 'web_search_20250305' }] }), 400]
  ]
  for (const [says, token, sent, status] of refused) {
    const got = await ask(url, token, sent)
    t.equal(got.status, status, says)
    t.notMatch(got.text, KEY)
  }
  t.equal((await ask(url.replace('/chat', '/no'), job.token, body)).status, 404)
  t.equal((await ask(`${it.gateway.addressOf('anthropic')}/models`, job.token, {})).status, 404)

  const renewed = it.gateway.tokenFor(job.project)
  t.equal((await ask(url, job.token, body)).status, 401, 'another process, another token')
  const headers = { 'x-kilowatt-turn': job.turnToken }
  const askRenewed = () => ask(url, renewed, body, { headers })
  t.equal((await askRenewed()).status, 200)
  it.gateway.revoke(job.token)
  t.equal((await askRenewed()).status, 200, 'the end of the one before is not its end')
  await job.end()
  const late = await askRenewed()
  t.equal(late.status, 403, 'no job, no model')
  t.match(JSON.parse(late.text), { error: { type: 'permission_error' } })
  it.gateway.revoke(renewed)
  t.equal((await askRenewed()).status, 401)
  t.equal(it.model.requests.length, 2, 'nothing else ever reached the model')
})

t.test('lets only requests of the running job spend', async (t) => {
  const it = await givenGateway(t)
  const url = addresses(it)[OPENAI]!
  const first = await it.job({ agentSessionId: 'ses_1' })
  const { token, project } = first
  const body = bodyOf([{ say }])
  const askWith = async (turnToken: string, session: Record<string, string>) => {
    const headers = { 'x-kilowatt-turn': turnToken, ...session }
    const { status, text } = await ask(url, token, body, { headers })
    return status === 200 ? status : `${status} ${JSON.parse(text).error.message}`
  }
  const root = { 'x-session-id': 'ses_1' }
  t.equal(await askWith(first.turnToken, root), 200)
  t.equal(await askWith(first.turnToken, { 'x-session-id': 'title-ses_1' }), 200)
  await first.end()
  t.equal(await askWith(first.turnToken, root), '403 No job of this project is running.')

  const second = await it.job({ agentSessionId: 'ses_1', token, project })
  const noToken = '403 The request has no token of the running job.'
  t.equal(await askWith(first.turnToken, root), noToken, 'the token of the job before')
  t.equal(await askWith('', root), noToken)
  t.equal(await askWith('gt_unknown', root), noToken)
  t.equal(await askWith(second.turnToken, root), 200, 'the same conversation, another job')

  const other = '403 The request is not of the running conversation.'
  t.equal(await askWith(second.turnToken, { 'x-session-id': 'ses_old' }), other)
  t.equal(await askWith(second.turnToken, { 'x-session-id': '' }), other)
  const child = { 'x-session-id': 'ses_2', 'x-parent-session-id': 'ses_1' }
  t.equal(await askWith(second.turnToken, { 'x-session-id': 'ses_2' }), other, 'not known yet')
  t.equal(await askWith(second.turnToken, child), 200, 'a sub-agent of the conversation')
  const grandchild = { 'x-session-id': 'ses_3', 'x-parent-session-id': 'ses_2' }
  t.equal(await askWith(second.turnToken, grandchild), 200)
  const stray = { 'x-session-id': 'ses_4', 'x-parent-session-id': 'ses_old' }
  t.equal(await askWith(second.turnToken, stray), other)
  await second.end()

  const third = await it.job({ agentSessionId: 'ses_1', token, project })
  t.equal(await askWith(third.turnToken, { 'x-session-id': 'ses_2' }), other, 'a job starts anew')
  t.equal((await third.rows()).length, 0)
  t.equal(it.model.requests.length, 5, 'nothing else ever reached the model')
  const refused = it.metrics.flatMap((metric) => (metric.kind === 'refused' ? [metric.why] : []))
  t.match(new Set(refused), new Set(['no_job', 'wrong_turn', 'wrong_session']))
})

t.test(
  'holds the requests of a job that is not ready, and refuses them when it never is',
  async (t) => {
    const it = await givenGateway(t)
    const url = addresses(it)[OPENAI]!
    const ready = Promise.withResolvers<void>()
    const job = await it.job({ ready: ready.promise })
    const held = ask(url, job.token, bodyOf([{ say }]))
    t.equal(await within(held, 100), undefined)
    t.equal(it.model.requests.length, 0, 'the provider was not asked')
    t.same(await job.rows(), [], 'nothing was reserved')
    ready.resolve()
    t.equal((await held).status, 200)

    const never = Promise.withResolvers<void>()
    const failed = await it.job({ ready: never.promise })
    const refused = ask(url, failed.token, bodyOf([{ say }]))
    never.reject(new Error('git failed'))
    t.equal((await refused).status, 403)
    t.same(await failed.rows(), [])
  }
)

t.test('passes on a refusal of the provider with the key redacted', async (t) => {
  const it = await givenGateway(t)
  const job = await it.job()
  const step = { fail: 429, retryAfter: 7, message: `Your key ${KEY} has had enough.` }
  const got = await ask(addresses(it)[OPENAI]!, job.token, bodyOf([step]))
  t.match(got, { status: 429, headers: { 'retry-after': '7' } })
  t.match(got.text, 'Your key [redacted] has had enough.')
  t.notMatch(JSON.stringify(got), KEY)
  t.match(await job.closed(), [{ outcome: 'refused', status: 429, cost: 0n }])
  t.same(job.waits, [7000], 'and says how long the agent will wait')
  await ask(addresses(it)[OPENAI]!, job.token, bodyOf([{ fail: 400, retryAfter: 7 }]))
  t.same(job.waits, [7000], 'not of a refusal after which it does not wait')
})

t.test('sends the session headers to the provider, and not the job token', async (t) => {
  let received: Record<string, unknown> = {}
  let sentBody: Record<string, unknown> = {}
  const provider = createServer((request, response) => {
    received = request.headers
    void (async () => {
      sentBody = (await new Response(request as never).json()) as never
      response.end('{}')
    })()
  }).listen(0, '127.0.0.1')
  t.teardown(() => provider.close())
  await new Promise((resolve) => provider.once('listening', resolve))
  const baseUrl = `http://127.0.0.1:${(provider.address() as AddressInfo).port}`
  const it = await givenGateway(t, { providers: [{ id: 'anthropic', baseUrl, apiKey: KEY }] })
  const job = await it.job({ model: ANTHROPIC, agentSessionId: 'ses_1' })
  const headers = {
    'x-api-key': job.token,
    'x-session-id': 'title-ses_9',
    'x-parent-session-id': 'ses_1',
    'anthropic-version': '2023-06-01'
  }
  const body = { model: 'scripted', max_tokens: 10, service_tier: 'priority', messages: [] }
  await ask(`${it.gateway.addressOf('anthropic')}/messages`, undefined, body, { headers })
  t.match(received, { 'x-api-key': KEY, 'x-parent-session-id': 'ses_1', 'anthropic-version': /./ })
  t.notMatch(JSON.stringify(received), job.token)
  t.notMatch(JSON.stringify(received), job.turnToken)
  t.same(
    sentBody,
    { model: 'scripted', max_tokens: 10, messages: [] },
    'the expensive service tier is removed'
  )
  t.match(await job.closed(), [
    { kind: 'title', agentSessionId: 'ses_9', parentSessionId: 'ses_1' }
  ])
})

t.test('sends on only what it has checked', async (t) => {
  const it = await givenGateway(t)
  const sent: Record<string, unknown>[] = []
  const provider = createServer((request, response) => {
    void (async () => {
      const body = (await new Response(request as never).json()) as Record<string, unknown>
      sent.push({ path: request.url, ...body })
      response.end('{}')
    })()
  }).listen(0, '127.0.0.1')
  t.teardown(() => provider.close())
  await once(provider, 'listening')
  const baseUrl = `http://127.0.0.1:${(provider.address() as AddressInfo).port}`
  const other = await givenGateway(t, {
    providers: [
      { id: 'openai-compatible', baseUrl, apiKey: KEY },
      { id: 'anthropic', baseUrl, apiKey: KEY }
    ]
  })
  const plain = { model: 'scripted', messages: [] }
  const cached = (caching: object) => ({
    system: [{ type: 'text', text: 'x', cache_control: caching }],
    messages: [{ role: 'user', content: [{ type: 'text', text: 'y', cache_control: caching }] }]
  })
  const short = { type: 'ephemeral' }
  const clamped: [string, string, object, object][] = [
    [
      OPENAI,
      'the lower of two limits, in one field',
      { ...plain, max_tokens: 1, max_completion_tokens: 900_000 },
      { ...plain, max_completion_tokens: 1 }
    ],
    [
      OPENAI,
      'fields that it does not know are removed',
      { ...plain, max_tokens: 9, Model: 'dear', service_tier: 'priority', speed: 'fast', x: 1 },
      { ...plain, max_tokens: 9 }
    ],
    [
      ANTHROPIC,
      'caching for five minutes',
      { model: 'scripted', max_tokens: 9, ...cached({ ...short, ttl: '1h' }) },
      { model: 'scripted', max_tokens: 9, ...cached(short) }
    ]
  ]
  for (const [model, says, body, expected] of clamped) {
    const job = await other.job({ model })
    const url = addresses(other)[model]!
    await ask(`${url}?beta=true&api_base=x`, job.token, body)
    t.same(
      sent.at(-1),
      {
        path: new URL(url).pathname.replace(/^\/[^/]+/, '').replace('/v1/chat', '/chat'),
        ...expected
      },
      says
    )
  }
  const twice = await other.job()
  await ask(
    addresses(other)[OPENAI]!,
    twice.token,
    '{"model":"dear","messages":[],"max_tokens":5,"model":"scripted"}'
  )
  t.match(sent.at(-1), { model: 'scripted' }, 'of two equal fields the one that was checked')

  const refused: [string, object][] = [
    ['fallbacks', { fallbacks: ['dear'] }],
    ['provider', { provider: { order: ['dear'] } }],
    ['route', { route: 'fallback' }],
    ['api_base', { api_base: 'https://elsewhere' }],
    ['search_parameters', { search_parameters: {} }],
    ['enable_search', { enable_search: true }],
    ['several answers', { n: 2 }],
    ['a tool of the provider', { tools: [{ type: 'web_search' }] }],
    ['a tool with a version', { tools: [{ type: 'code_execution_20250825', name: 'x' }] }],
    ['an unknown tool', { tools: [{ type: 'bash_20250124', name: 'bash' }] }]
  ]
  for (const [model, url] of Object.entries(addresses(it))) {
    const job = await it.job({ model })
    for (const [says, more] of refused) {
      const got = await ask(url, job.token, bodyOf([{ say }], more))
      t.match(got, { status: 400, text: /is not supported|Only one choice/ }, `${model}: ${says}`)
    }
  }
  t.equal(it.model.requests.length, 0)
})

t.test('passes on 3 of 50 concurrent requests on a hold that fits 3', async (t) => {
  const it = await givenGateway(t, { times: { shareWaitMs: 0 } })
  const price = it.prices.find(OPENAI) as Price
  // No request ends and releases its part of the hold before all have been sent.
  const steps: Step[] = [{ hang: 'headers' }]
  const body = bodyOf(steps, { max_tokens: 256, stream_options: { include_usage: true } })
  const bound = Math.ceil(JSON.stringify(body).length / 2) + 500
  const held = toCredits((ceilingOf(bound, 256, price) * 3n + 100n) as never)
  const job = await it.job({ held, funds: held })
  const url = addresses(it)[OPENAI]!
  const answers: number[] = []
  for (let n = 0; n < 50; n += 1) {
    void ask(url, job.token, body).then(({ status }) => answers.push(status))
  }
  while (answers.length < 47 || it.model.requests.length < 3) {
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  t.equal(it.model.requests.length, 3)
  t.same(
    answers,
    Array.from({ length: 47 }, () => 402)
  )
  t.equal(job.exhausted(), 47)
})

t.test('lets concurrent requests wait for what their siblings give back', async (t) => {
  const it = await givenGateway(t)
  const price = it.prices.find(OPENAI) as Price
  const body = bodyOf([{ say, chunks: 4, chunkMs: 50 }], { max_tokens: 4000 })
  const bound = Math.ceil(JSON.stringify(body).length / 2) + 600
  const held = toCredits((ceilingOf(bound, 4000, price) + 100n) as never)
  const job = await it.job({ held, funds: held })
  const url = addresses(it)[OPENAI]!
  const answers = await Promise.all(
    Array.from({ length: 5 }, () => ask(url, job.token, body).then(({ status }) => status))
  )
  t.same(answers, [200, 200, 200, 200, 200], 'the credits suffice, one by one')
  t.equal(job.exhausted(), 0)

  const hanging = bodyOf([{ hang: 'headers' }], { max_tokens: 4000 })
  void ask(url, job.token, hanging)
  await until('the first to be sent', () => it.model.requests.length === 6)
  const waiting = ask(url, job.token, body)
  await job.end()
  t.not((await waiting).status, 200, 'the end of the job ends the wait')
  t.equal(it.model.requests.length, 6)
})

t.test(
  'extends a hold that is too small, then shortens answers, then refuses requests',
  async (t) => {
    const it = await givenGateway(t)
    const url = addresses(it)[OPENAI]!
    const sent = () => it.model.requests.length
    const body = bodyOf([{ say: 'short' }], { max_tokens: 4000 })

    const rich = await it.job({ held: 1, funds: 100 })
    t.equal((await ask(url, rich.token, body)).status, 200)
    t.ok((await rich.held())! > 3_000_000n, 'as much as the most expensive answer needs')
    t.ok((await rich.held())! < 5_000_000n)

    const capped = await it.job({ held: 1, funds: 100, maxCredits: 2 })
    t.equal((await ask(url, capped.token, body)).status, 200, 'with a shorter answer')
    t.equal(await capped.held(), 2_000_000n)
    const [row] = await capped.closed()
    t.ok(row!.maxCost <= 2_000_000n)

    const poor = await it.job({ held: 0.4, funds: 0.4 })
    const before = sent()
    const got = await ask(url, poor.token, body)
    t.equal(got.status, 402)
    t.match(JSON.parse(got.text), { error: { type: 'billing_error' } })
    t.equal(poor.exhausted(), 1)
    t.equal(sent(), before)
  }
)

t.test('ends the running requests of a job at its end', async (t) => {
  const it = await givenGateway(t, { times: { usageWaitMs: 50 } })
  const job = await it.job()
  const endless = { say: 'word '.repeat(100), chunks: 100, chunkMs: 50 }
  const asking = ask(addresses(it)[OPENAI]!, job.token, bodyOf([endless]))
  while (it.model.requests[0]?.usage.output === undefined) {
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  await job.end()
  t.match(await job.rows(), [{ state: 'done', outcome: 'estimated' }])
  t.equal((await asking).broken, true)
})

t.test('does not wait at the end of a job for an agent that does not read', async (t) => {
  const piece = `data: ${JSON.stringify({ choices: [{ delta: { content: 'x'.repeat(50_000) } }] })}\n\n`
  const provider = createServer((request, response) => {
    request.resume()
    const more = () => {
      while (response.writable && response.write(piece));
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.on('drain', more)
    more()
  }).listen(0, '127.0.0.1')
  t.teardown(() => void provider.close().closeAllConnections())
  await once(provider, 'listening')
  const baseUrl = `http://127.0.0.1:${(provider.address() as AddressInfo).port}`
  const it = await givenGateway(t, {
    providers: [{ id: 'openai-compatible', baseUrl, apiKey: KEY }],
    times: { usageWaitMs: 50 }
  })
  const job = await it.job()
  const asking = httpRequest(addresses(it)[OPENAI]!, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${job.token}`,
      'x-session-id': 'ses_root',
      ...turnHeader(job.token)
    }
  })
  asking.on('error', () => {})
  asking.end(JSON.stringify(bodyOf([{ say }])))
  const [response] = (await once(asking, 'response')) as [IncomingMessage]
  response.on('error', () => {})
  response.pause()
  // Until the buffers of the sockets are full, and the gateway waits for the agent.
  await new Promise((resolve) => setTimeout(resolve, 500))
  const ended = await Promise.race([
    job.end(),
    new Promise((late) => setTimeout(late, 10_000, 'late'))
  ])
  t.not(ended, 'late')
  t.match(await job.rows(), [{ state: 'done', outcome: 'estimated' }])
  asking.destroy()
})

t.test('charges nothing for a request that arrives while its job ends', async (t) => {
  const it = await givenGateway(t)
  const job = await it.job()
  const asking = httpRequest(addresses(it)[OPENAI]!, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${job.token}`,
      'x-kilowatt-turn': job.turnToken,
      'x-session-id': 'ses_root',
      expect: '100-continue'
    }
  })
  asking.flushHeaders()
  const answered = once(asking, 'response')
  await once(asking, 'continue')
  await job.end()
  asking.end(JSON.stringify(bodyOf([{ say }])))

  const [response] = await answered
  t.equal(response.statusCode, 403)
  t.same(await job.rows(), [])
  t.equal(it.model.requests.length, 0)
})

t.test('logs why a provider could not be reached', async (t) => {
  const lines: unknown[] = []
  const nowhere = {
    id: 'openai-compatible' as const,
    baseUrl: 'http://127.0.0.1:9/v1',
    apiKey: KEY
  }
  const it = await givenGateway(t, {
    providers: [nowhere],
    log: { ...silentLog, warn: (facts: object, says: string) => lines.push({ ...facts, says }) }
  })
  const job = await it.job()
  const url = it.gateway.addressOf('openai-compatible') + '/chat/completions'
  t.ok((await ask(url, job.token, bodyOf([{ say }]))).broken)
  t.match(await job.closed(), [{ outcome: 'unanswered' }])
  t.match(lines, [
    { says: 'provider connection failed', model: OPENAI, err: { code: 'ECONNREFUSED' } }
  ])
  t.notMatch(JSON.stringify(lines), KEY)
})
