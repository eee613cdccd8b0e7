import t, { type Test } from 'tap'
import { REFUSALS, AppError } from '#kernel/errors.ts'
import { PROBLEM_STATUSES } from '../../../src/http/problem-statuses.ts'
import { isDatabaseAway } from '../../../src/http/plugins/problems.ts'
import { ADMIN_KEY, ask, givenDoors, type Answer } from './given-doors.ts'

const isProblem = (t: Test, answer: Answer, code: keyof typeof REFUSALS, says: string) => {
  t.match(
    answer,
    {
      status: PROBLEM_STATUSES[code],
      headers: { 'content-type': /^application\/problem\+json/, 'x-request-id': String },
      body: {
        type: `urn:kilowatt:problem:${code}`,
        title: REFUSALS[code].title,
        status: PROBLEM_STATUSES[code],
        detail: String,
        instance: /^\//,
        code,
        retryable: REFUSALS[code].retryable,
        requestId: answer.headers['x-request-id']
      }
    },
    says
  )
}

t.test('names a refused field and its allowed values', async (t) => {
  const { person } = await givenDoors(t)
  const ada = await person(0)
  for (const [body, detail] of [
    [{}, 'body is missing name'],
    [{ name: 'x', review: 'maybe' }, 'body/review must be one of merge, hold'],
    [{ name: 'x', nam: 'y' }, 'body/nam is not a known field'],
    [{ name: '\u200b\u2060' }, 'body/name must have a visible character']
  ] as const) {
    t.match(await ada.call('POST', '/projects', body), { status: 400, body: { detail } })
  }
  const command = `/projects/${await ada.project()}/ai-command`
  t.match(await ada.call('POST', command, { text: ' \u200b\ufeff' }), {
    status: 400,
    body: { detail: 'body/text must have a visible character' }
  })
})

t.test('every refusal is a problem document', async (t) => {
  const { app, person } = await givenDoors(t)
  const ada = await person(0)
  const id = await ada.project()
  const json = { 'content-type': 'application/json' }
  const deep = '['.repeat(100_000) + ']'.repeat(100_000)

  for (const [says, code, method, url, body, headers] of [
    ['an address that is none', 'not_found', 'GET', '/nowhere'],
    ['a path that is none', 'not_found', 'GET', '/projects/x/y'],
    ['another method', 'method_not_allowed', 'DELETE', '/projects'],
    ['another method of a file', 'method_not_allowed', 'POST', `/projects/${id}/files/a`],
    ['half a percent', 'invalid_request', 'GET', '/projects/%E0%A4%A'],
    ['not UTF-8 in the path', 'invalid_request', 'GET', '/projects/%ED%A0%80'],
    ['no JSON', 'invalid_request', 'POST', '/projects', '{'],
    ['deep JSON', 'invalid_request', 'POST', '/projects', deep],
    ['a prototype', 'invalid_request', 'POST', '/projects', '{"__proto__":{},"name":"x"}'],
    ['no body', 'invalid_request', 'POST', '/projects'],
    ['an empty body', 'invalid_request', 'POST', '/projects', '', json],
    ['text', 'invalid_request', 'POST', '/projects', 'x', { 'content-type': 'text/plain' }],
    [
      'a form',
      'invalid_request',
      'POST',
      '/projects',
      'x',
      { 'content-type': 'multipart/form-data' }
    ],
    ['an unknown field', 'invalid_request', 'POST', '/projects', { name: 'x', nam: 'y' }],
    [
      'an unknown field inside',
      'invalid_request',
      'POST',
      '/projects',
      { name: 'x', git: { url: 'x', a: 1 } }
    ],
    ['a number for a name', 'invalid_request', 'POST', '/projects', { name: 1 }],
    ['an empty name', 'invalid_request', 'POST', '/projects', { name: '' }],
    ['a blank name', 'invalid_request', 'POST', '/projects', { name: ' \t ' }],
    ['a long name', 'invalid_request', 'POST', '/projects', { name: 'x'.repeat(201) }],
    ['NUL', 'invalid_request', 'POST', '/projects', { name: 'a\0b' }],
    ['half a pair', 'invalid_request', 'POST', '/projects', '{"name":"\\ud800"}'],
    [
      'half a pair in a file',
      'invalid_request',
      'POST',
      '/projects',
      '{"name":"a","files":[{"path":"a","content":"\\udc00"}]}'
    ],
    ['NUL in the query', 'invalid_request', 'GET', '/projects?cursor=%00'],
    ['a limit of 0', 'invalid_request', 'GET', '/projects?limit=0'],
    ['a limit of 201', 'invalid_request', 'GET', '/projects?limit=201'],
    ['a limit of 1.5', 'invalid_request', 'GET', '/projects?limit=1.5'],
    ['an empty limit', 'invalid_request', 'GET', '/projects?limit='],
    ['two limits', 'invalid_request', 'GET', '/projects?limit=1&limit=2'],
    ['a cursor that is none', 'invalid_request', 'GET', '/projects?cursor=x'],
    ['a yes that is none', 'invalid_request', 'POST', '/jobs/x/merge?dryRun=1'],
    ['a field of nothing', 'invalid_request', 'POST', '/jobs/x/cancel', { a: 1 }],
    ['a project that is none', 'not_found', 'GET', '/projects/x'],
    ['a long id', 'invalid_request', 'GET', `/projects/${'x'.repeat(300)}`],
    ['a job that is none', 'not_found', 'GET', '/jobs/x'],
    [
      'an open file outside of the project',
      'path_not_allowed',
      'POST',
      `/projects/${id}/ai-command`,
      { text: 'hi', currentFilePath: '../secret' }
    ],
    ['a path into git', 'path_not_allowed', 'GET', `/projects/${id}/files/.git/config`]
  ] as [string, keyof typeof REFUSALS, string, string, unknown?, Record<string, string>?][]) {
    isProblem(t, await ada.call(method, url, body, headers), code, says)
  }

  const invalid = Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])
  const answer = await app.inject({
    method: 'POST',
    url: '/projects',
    headers: { ...json, authorization: `Bearer ${ada.key}` },
    payload: invalid
  })
  t.match(answer.json(), { code: 'invalid_request', status: 400 }, 'not UTF-8')
})

t.test('a refusal says which field is wrong', async (t) => {
  const { person } = await givenDoors(t)
  const ada = await person(0)
  const body = { name: 'x', files: [{ path: 'a' }], colour: 'red' }
  const answer = await ada.call('POST', '/projects', body)
  t.match(answer.body.errors, [{ path: 'body/colour', message: /not a known field/ }])
  t.match(JSON.stringify(answer.body.errors), 'body/files/0')
})

t.test('a method that is not allowed says which are', async (t) => {
  const { app } = await givenDoors(t)
  t.equal((await ask(app, 'PUT', '/projects')).headers['allow'], 'POST, GET, HEAD')
  t.equal((await ask(app, 'POST', '/health')).headers['allow'], 'GET, HEAD')
  t.match(await ask(app, 'HEAD', '/health'), { status: 200, text: '' })
})

t.test('who asks is known by a key', async (t) => {
  const { app, person, operator } = await givenDoors(t)
  const ada = await person(0)
  for (const authorization of [undefined, '', 'Bearer', 'Bearer x', 'Basic eA==', ada.key]) {
    const answer = await ask(
      app,
      'GET',
      '/wallet',
      undefined,
      authorization ? { authorization } : {}
    )
    isProblem(t, answer, 'unauthenticated', `${authorization}`)
    t.match(answer.headers['www-authenticate'], /^Bearer/)
  }
  const wrong = `Bearer ${ada.key.slice(0, -1)}${ada.key.endsWith('A') ? 'B' : 'A'}`
  isProblem(
    t,
    await ask(app, 'GET', '/wallet', undefined, { authorization: wrong }),
    'unauthenticated',
    'almost'
  )
  t.equal(
    (await ask(app, 'GET', '/wallet', undefined, { authorization: `bearer ${ada.key}` })).status,
    200
  )

  isProblem(t, await ada.call('POST', '/users', {}), 'forbidden', 'a user makes no users')
  isProblem(t, await operator.call('GET', '/wallet'), 'forbidden', 'the operator has no wallet')
  isProblem(
    t,
    await ask(app, 'POST', '/users', {}),
    'unauthenticated',
    'a request without a key creates no users'
  )
  for (const url of ['/health', '/livez', '/readyz', '/openapi.json', '/docs']) {
    t.equal((await ask(app, 'GET', url)).status, 200, `${url} is open`)
  }
})

t.test('the request id is given back, or made', async (t) => {
  const { app } = await givenDoors(t)
  const given = await ask(app, 'GET', '/nowhere', undefined, { 'x-request-id': 'my-id:1' })
  t.equal(given.headers['x-request-id'], 'my-id:1')
  t.equal(given.body.requestId, 'my-id:1')
  for (const id of ['', 'a b', 'ü', 'x'.repeat(129)]) {
    const { headers } = await ask(app, 'GET', '/livez', undefined, { 'x-request-id': id })
    t.match(headers['x-request-id'], /^[0-9a-f-]{36}$/)
  }
})

t.test('what breaks inside stays inside', async (t) => {
  const secret = 'the password is swordfish'
  const health = () => {
    throw new Error(secret)
  }
  const { app, lines } = await givenDoors(t, { health })
  const answer = await ask(app, 'GET', '/health')
  isProblem(t, answer, 'internal', 'an unexpected error')
  t.notMatch(answer.text, 'swordfish')
  t.match(lines.join(''), secret, 'but the log has it')
})

t.test('answers 503 when the database is unavailable', async (t) => {
  const doors = await givenDoors(t)
  const ada = await doors.person(0)
  await doors.db.destroy()
  const answer = await ada.call('GET', '/wallet')
  isProblem(t, answer, 'database_unavailable', 'no database')
  t.ok(Number(answer.headers['retry-after']) > 0)
  t.equal((await ask(doors.app, 'GET', '/livez')).status, 200, 'the process is alive')
})

t.test('which errors mean that the database is away', async (t) => {
  const coded = (code: string) => Object.assign(new Error('x'), { code })
  for (const code of ['08006', '57P01', '53300', 'ECONNREFUSED']) t.ok(isDatabaseAway(coded(code)))
  for (const code of ['23505', '42P01', 'ENOENT']) t.notOk(isDatabaseAway(coded(code)))
  t.ok(isDatabaseAway(new Error('Connection terminated unexpectedly')))
  t.notOk(isDatabaseAway(new AppError('internal', 'x')))
})

t.test('readiness is about what can be written, and the end', async (t) => {
  let problem: AppError | undefined
  const { app, stop } = await givenDoors(t, { ready: async () => problem })
  t.equal((await ask(app, 'GET', '/readyz')).status, 200)
  for (const code of ['database_unavailable', 'disk_full'] as const) {
    problem = new AppError(code, 'not now')
    isProblem(t, await ask(app, 'GET', '/readyz'), code, 'not ready')
  }
  problem = undefined
  stop.abort()
  isProblem(t, await ask(app, 'GET', '/readyz'), 'shutting_down', 'stopping')
})

t.test('a full disk refuses what writes, and lets users make room', async (t) => {
  let isFull = false
  const { person } = await givenDoors(t, { disk: { isFull: async () => isFull } })
  const ada = await person()
  const id = await ada.project()
  const save = () => ada.call('PUT', `/projects/${id}/files/a.txt`, { content: 'a' })
  t.equal((await save()).status, 201)
  isFull = true
  for (const [method, url, body] of [
    ['POST', '/projects', { name: 'x' }],
    ['PATCH', `/projects/${id}`, { name: 'y' }],
    ['POST', `/projects/${id}/ai-command`, { text: 'hi' }],
    ['POST', '/wallet/purchase', { credits: 1 }],
    ['POST', '/ws-tickets', { projectId: id }]
  ] as const) {
    const answer = await ada.call(method, url, body, { 'idempotency-key': 'k' })
    isProblem(t, answer, 'disk_full', `${method} ${url}`)
    t.ok(Number(answer.headers['retry-after']) > 0)
  }
  t.match(await save(), { status: 507, body: { code: 'disk_full', status: 507 } })
  t.equal((await ada.call('GET', `/projects/${id}/files/a.txt`)).status, 200)
  t.equal((await ada.call('POST', '/jobs/job_x/cancel')).status, 404, 'cancelling is tried')
  t.equal((await ada.call('DELETE', `/projects/${id}/files/a.txt`)).status, 200)
  isFull = false
  t.equal((await save()).status, 201)
})

t.test('a server that stops sends everybody away, and still says that it lives', async (t) => {
  const { app, operator, person, stop } = await givenDoors(t)
  const ada = await person(0)
  stop.abort()
  const answer = await ada.call('POST', '/projects', { name: 'x' })
  isProblem(t, answer, 'shutting_down', 'new work')
  t.ok(Number(answer.headers['retry-after']) > 0)
  t.equal(answer.headers['connection'], 'close')
  t.equal((await ask(app, 'GET', '/livez')).status, 200)
  t.equal((await operator.call('GET', '/metrics')).status, 200)
})

t.test('answers too many requests with retry-after, and counts them per user', async (t) => {
  const doors = await givenDoors(t, { requestsPerMinuteMax: 5 })
  const ada = await doors.person(0)
  const bob = await doors.person(0)
  for (let n = 0; n < 5; n++) t.equal((await ada.call('GET', '/wallet')).status, 200)
  const answer = await ada.call('GET', '/wallet')
  isProblem(t, answer, 'rate_limited', 'the sixth')
  t.ok(Number(answer.headers['retry-after']) > 0)
  t.equal((await bob.call('GET', '/wallet')).status, 200)
  for (let n = 0; n < 10; n++) t.equal((await ask(doors.app, 'GET', '/livez')).status, 200)
})

t.test('only pages of allowed origins may read answers', async (t) => {
  const { app, person } = await givenDoors(t)
  const ada = await person(0)
  const from = (origin: string) => ada.call('GET', '/wallet', undefined, { origin })
  const allowed = await from('https://ide.example')
  t.equal(allowed.headers['access-control-allow-origin'], 'https://ide.example')
  for (const origin of ['https://ide.example.evil.test', 'null', 'http://ide.example']) {
    t.notOk((await from(origin)).headers['access-control-allow-origin'], origin)
  }
  const preflight = await ask(app, 'OPTIONS', '/projects', undefined, {
    origin: 'https://ide.example',
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'authorization,idempotency-key'
  })
  t.match(preflight, {
    status: 204,
    headers: {
      'access-control-allow-origin': 'https://ide.example',
      'access-control-allow-headers': 'authorization,idempotency-key'
    }
  })
})

t.test('no secret is ever logged', async (t) => {
  const { app, person, lines } = await givenDoors(t)
  const ada = await person(0)
  const id = await ada.project()
  const { body } = await ada.call('POST', '/ws-tickets', { projectId: id })
  await ask(app, 'GET', `/ws?ticket=${body.ticket}`)
  await ask(app, 'GET', `/nowhere?ticket=${body.ticket}`)
  await ask(app, 'GET', `/%ZZ?ticket=${body.ticket}`)
  await ada.call('GET', `/projects/${id}`, undefined, { 'x-request-id': 'find-me' })

  const text = lines.join('')
  for (const secret of [ada.key, ADMIN_KEY, body.ticket]) t.notOk(text.includes(secret))
  const line = JSON.parse(lines.find((one) => one.includes('find-me')) ?? '{}')
  t.match(line, {
    requestId: 'find-me',
    userId: ada.id,
    projectId: id,
    method: 'GET',
    route: '/projects/:id',
    status: 200
  })
})

t.test('requests are counted by their route, not by their address', async (t) => {
  const { app, operator, person } = await givenDoors(t)
  const ada = await person(0)
  await ada.call('GET', '/projects/x')
  await ask(app, 'GET', '/nowhere/at/all')
  const { text } = await operator.call('GET', '/metrics')
  t.match(
    text,
    'kilowatt_http_request_duration_seconds_count{method="GET",route="/projects/:id",status="404"} 1'
  )
  t.notMatch(text, 'nowhere')
  t.match(text, 'kilowatt_sockets 0')
})
