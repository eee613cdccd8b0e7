import t from 'tap'
import { networkOf } from '#net'
import { systemClock } from '#kernel/clock.ts'
import { createKeyGuard, delayAfter } from '../../../src/http/plugins/key-guard.ts'
import { ADMIN_KEY, ask, givenDoors, type Person } from '../../src/http/given-doors.ts'
import { listen, openSocket, refusal } from '../../src/http/stream/given-socket.ts'

const wrong = (n: number) => ({ authorization: `Bearer kw_${String(n).padStart(43, '0')}` })

t.test('delays guesses of keys, longer after each', async (t) => {
  let now = 0
  const clock = { ...systemClock, monotonicMs: () => now }
  const { app, operator, person } = await givenDoors(t, { clock })
  const ada = await person()
  const guess = (method: string, url: string, headers: Record<string, string>) =>
    ask(app, method, url, method === 'POST' ? {} : undefined, headers)

  for (let n = 0; n < 11; n += 1) t.equal((await guess('POST', '/users', wrong(n))).status, 401)
  for (const waitSeconds of [1, 2, 4, 8]) {
    const refused = await guess('GET', '/wallet', wrong(99))
    t.match(refused, { status: 429, body: { code: 'rate_limited' } })
    t.equal(refused.headers['retry-after'], String(waitSeconds))
    const right = await guess('POST', '/users', { authorization: `Bearer ${ADMIN_KEY}` })
    t.equal(right.status, 429, "the operator's key is not compared during the delay")
    t.equal((await ada.call('GET', '/wallet')).status, 200, 'a key of a user is admitted')
    now += waitSeconds * 1000
    t.equal((await guess('GET', '/wallet', wrong(99))).status, 401)
  }
  now += 16_000
  t.equal((await operator.call('POST', '/users', {})).status, 201, 'after the delay it is')
})

t.test('delays wrong tickets like wrong keys', async (t) => {
  const { app, person } = await givenDoors(t)
  const ada = await person()
  const projectId = await ada.project()
  const url = await listen(app)
  for (let n = 0; n < 11; n += 1) {
    const opening = openSocket(t, url, { path: `/ws?ticket=${n}` })
    t.equal((await refusal(opening)).status, 401)
  }
  t.equal((await refusal(openSocket(t, url, { path: '/ws?ticket=x' }))).status, 429)
  const { body } = await ada.call('POST', '/ws-tickets', { projectId })
  await openSocket(t, url, { path: `/ws?ticket=${body.ticket}` })
})

t.test('the delay doubles up to a limit, and is forgotten with time', async (t) => {
  t.same([10, 11, 12, 13, 19, 20, 1e6].map(delayAfter), [0, 1e3, 2e3, 4e3, 256e3, 300e3, 300e3])
  let now = 0
  const guard = createKeyGuard({ monotonicMs: () => now })
  for (let n = 0; n < 30; n += 1) guard.fail('a')
  t.equal(guard.waitMs('a'), 300_000)
  t.equal(guard.waitMs('b'), 0, 'of another address')
  now += 300_000
  t.equal(guard.waitMs('a'), 0)
  guard.fail('a')
  t.equal(guard.waitMs('a'), 300_000, 'the count is kept')
  now += 15 * 60_000
  guard.fail('a')
  t.equal(guard.waitMs('a'), 0, 'for a quarter of an hour')
  for (let n = 0; n < 20_000; n += 1) guard.fail(`x${n}`)
  t.pass('in bounded memory')
})

const forwarded = (address: string) => ({ 'x-forwarded-for': address })

t.test('counts requests that are refused, by the address that a trusted proxy names', async (t) => {
  const trustedProxies = ['127.0.0.1']
  const { app } = await givenDoors(t, { requestsPerMinuteMax: 5, trustedProxies })
  for (const [name, method, url, address] of [
    ['without a key', 'GET', '/wallet', '198.51.100.1'],
    ['to no route', 'GET', '/none', '198.51.100.2'],
    ['by another method', 'PUT', '/wallet', '198.51.100.3']
  ] as const) {
    const shoot = () => ask(app, method, url, undefined, forwarded(address))
    const statuses = []
    for (let n = 0; n < 7; n += 1) statuses.push((await shoot()).status)
    const [first] = statuses
    t.same(statuses, [...Array.from({ length: 5 }, () => first), 429, 429], name)
    t.ok(Number((await shoot()).headers['retry-after']) > 0)
  }
})

t.test('does not believe the address that another client names', async (t) => {
  const trustedProxies = ['192.0.2.1']
  const { app } = await givenDoors(t, { requestsPerMinuteMax: 3, trustedProxies })
  const statuses = []
  for (let n = 0; n < 4; n += 1) {
    const headers = forwarded(`198.51.100.${n}`)
    statuses.push((await ask(app, 'GET', '/wallet', undefined, headers)).status)
  }
  t.same(statuses, [401, 401, 401, 429])
})

t.test('counts an IPv6 client by its network', async (t) => {
  for (const [address, network] of [
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:DB8:0001:2::1', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64']
  ] as const) {
    t.equal(networkOf(address), network)
  }
})

t.test('limits sockets and event streams per user and per address', async (t) => {
  const { app, person } = await givenDoors(t, { socketsPerUserMax: 3, socketsPerAddressMax: 4 })
  const [ada, bob] = [await person(), await person()]
  const id = await ada.project()
  const url = await listen(app)
  const open = ({ key }: Person) =>
    openSocket(t, url, { headers: { authorization: `Bearer ${key}` } })
  const stream = async (signal: AbortSignal) =>
    fetch(`${url}/projects/${id}/events`, {
      headers: { authorization: `Bearer ${ada.key}`, accept: 'text/event-stream' },
      signal
    })

  const first = await open(ada)
  await open(ada)
  const streaming = new AbortController()
  t.equal((await stream(streaming.signal)).status, 200)
  t.equal((await refusal(open(ada))).status, 429, 'a fourth of one user')
  t.equal((await stream(AbortSignal.timeout(5000))).status, 429)
  await open(bob)
  t.equal((await refusal(open(bob))).status, 429, 'a fifth of one address')

  first.ws.terminate()
  streaming.abort()
  const deadline = Date.now() + 10_000
  for (;;) {
    const opened = await open(ada).catch(() => undefined)
    if (opened || Date.now() > deadline) {
      t.ok(opened, 'a closed one makes room')
      break
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
})
