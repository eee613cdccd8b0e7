import t, { type Test } from 'tap'
import { ask, givenDoors, type Answer } from '../../src/http/given-doors.ts'
import { listen, openSocket, refusal } from '../../src/http/stream/given-socket.ts'
import { createClient, startProduct } from '../../helpers/product.ts'

const API = {
  'cache-control': 'no-store',
  'content-security-policy': /^default-src 'none';/,
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin'
}
const has = (t: Test, { headers }: Answer, name: string) => t.match(headers, API, name)

t.test('answers of the API cannot be run, framed, sniffed or stored', async (t) => {
  const { app, person } = await givenDoors(t)
  const ada = await person()
  const id = await ada.project({ 'a.html': '<script>' })
  for (const url of ['/wallet', '/projects', `/projects/${id}`, '/none', '/projects/none']) {
    has(t, await ada.call('GET', url), url)
  }
  has(t, await ask(app, 'GET', '/wallet'), 'without a key')
  has(t, await ada.call('PUT', '/wallet'), 'another method')
  has(t, await ada.call('POST', '/projects', '{'), 'an invalid body')
  const file = await ada.call('GET', `/projects/${id}/files/a.html`)
  t.match(file.headers, { ...API, 'cache-control': 'private, no-cache', etag: String })
  t.match((await ask(app, 'GET', '/%ZZ')).headers, { 'cache-control': 'no-store' })
})

t.test('the page of the documentation runs its own scripts only', async (t) => {
  const { app } = await givenDoors(t)
  for (const url of ['/docs', '/docs/static/swagger-ui.css']) {
    const { status, headers } = await ask(app, 'GET', url)
    t.equal(status, 200)
    const policy = String(headers['content-security-policy'])
    t.match(policy, /^default-src 'self';/)
    t.match(policy, /script-src 'self'/)
    t.match(policy, /frame-ancestors 'none'/)
    t.notMatch(policy, /https:|upgrade-insecure|unsafe-eval|script-src [^;]*unsafe-inline/)
  }
})

t.test('requires TLS of browsers where the public address has it', async (t) => {
  for (const [publicUrl, expected] of [
    ['https://kw.example', 'max-age=31536000'],
    ['http://kw.example', undefined]
  ] as const) {
    const { app } = await givenDoors(t, { publicUrl })
    const { headers } = await ask(app, 'GET', '/wallet', undefined, { host: 'kw.example' })
    t.equal(headers['strict-transport-security'], expected)
  }
})

t.test('answers only the host of PUBLIC_URL, and health checks', async (t) => {
  const { app, operator } = await givenDoors(t, {
    publicUrl: 'https://kw.example',
    trustedProxies: ['192.0.2.1']
  })
  const created = await operator.call('POST', '/users', {}, { host: 'kw.example' })
  const authorization = `Bearer ${created.body.apiKey}`
  for (const [host, status] of [
    ['kw.example', 200],
    ['KW.example:443', 200],
    ['kw.example:8443', 403],
    ['evil.example', 403],
    ['kw.example.evil.example', 403],
    ['127.0.0.1', 403],
    ['localhost:8080', 403]
  ] as const) {
    t.equal(
      (await ask(app, 'GET', '/wallet', undefined, { authorization, host })).status,
      status,
      host
    )
    t.equal((await ask(app, 'GET', '/livez', undefined, { host })).status, 200, `health at ${host}`)
  }
  const forwarded = { authorization, host: 'evil.example', 'x-forwarded-host': 'kw.example' }
  t.equal((await ask(app, 'GET', '/wallet', undefined, forwarded)).status, 403, 'not by a proxy')
  const url = await listen(app)
  t.equal((await refusal(openSocket(t, url, { headers: { authorization } }))).status, 403)
  await openSocket(t, url, { headers: { authorization, host: 'kw.example' } })
})

t.test('metrics need the operator, or have a port of their own', async (t) => {
  const { url, admin, product, user } = await startProduct(t, { env: { METRICS_PORT: '0' } })
  const ada = await user(0)
  t.equal((await fetch(`${url}/metrics`)).status, 401, 'without a key')
  t.equal((await ada.call('GET', '/metrics')).status, 403, 'with the key of a user')
  t.match(await admin.call('GET', '/metrics'), { status: 200, body: /kilowatt_sockets/ })

  const own = new URL(product.metricsUrl ?? '')
  t.not(own.port, new URL(url).port)
  t.match(await (await fetch(own)).text(), /kilowatt_sockets/)
  for (const path of ['/', '/wallet', '/users', '/health']) {
    const { status } = await createClient(own.origin, admin.key).call('GET', path)
    t.equal(status, 404, `${path} is not on the port of the metrics`)
  }
  t.equal((await createClient(own.origin, admin.key).call('POST', '/metrics')).status, 404)
})
