import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { createIdempotencyStore, type IdempotencyStore } from '#db'
import { transactionId } from '#kernel/ids.ts'
import { ADMIN_KEY, ask, buy, givenDoors } from './given-doors.ts'
import { listen } from './stream/given-socket.ts'

const under = (key: string) => ({ 'idempotency-key': key })
const replayed = 'idempotent-replayed'

async function givenAda(t: Test) {
  const doors = await givenDoors(t)
  return { doors, ada: await doors.person() }
}

t.test('the same request under the same key happens once', async (t) => {
  const { ada } = await givenAda(t)
  const id = await ada.project()
  for (const [url, body] of [
    ['/projects', { name: 'x' }],
    [`/projects/${id}/ai-command`, { text: 'hi' }],
    ['/wallet/purchase', { credits: 5 }]
  ] as const) {
    const key = randomUUID()
    const first = await ada.call('POST', url, body, under(key))
    const again = await ada.call('POST', url, body, under(key))
    t.notOk(first.headers[replayed])
    t.equal(again.headers[replayed], 'true')
    t.equal(again.status, first.status)
    t.equal(again.text, first.text)
    for (const name of ['content-type', 'location']) {
      t.equal(again.headers[name], first.headers[name])
    }
    t.not(
      again.headers['x-request-id'],
      first.headers['x-request-id'],
      'it is a request of its own'
    )
  }
  t.equal((await ada.call('GET', '/projects')).body.items.length, 2)
  t.equal((await ada.call('GET', `/projects/${id}/jobs`)).body.items.length, 1)
  t.same((await ada.call('GET', '/wallet')).body, {
    userId: ada.id,
    balance: 995,
    reserved: 10,
    spent: 0
  })
})

t.test('the order of fields means nothing; anything else is another request', async (t) => {
  const { ada } = await givenAda(t)
  const key = randomUUID()
  const post = (body: object, url = '/projects') => ada.call('POST', url, body, under(key))
  const first = await post({ name: 'x', review: 'hold' })
  t.equal((await post({ review: 'hold', name: 'x' })).body.id, first.body.id)
  for (const [body, url] of [
    [{ name: 'x' }, '/projects'],
    [{ name: 'y', review: 'hold' }, '/projects'],
    [{ credits: 1 }, '/wallet/purchase']
  ] as const) {
    t.match(await post(body, url), { status: 422, body: { code: 'idempotency_key_reused' } })
  }
})

t.test('keys are each user’s own', async (t) => {
  const { doors, ada } = await givenAda(t)
  const bob = await doors.person()
  const key = randomUUID()
  const hers = await ada.call('POST', '/projects', { name: 'x' }, under(key))
  const his = await bob.call('POST', '/projects', { name: 'x' }, under(key))
  t.equal(his.status, 201)
  t.not(his.body.id, hers.body.id)
})

t.test('of many at the same moment one happens', async (t) => {
  const { ada } = await givenAda(t)
  const id = await ada.project()
  const key = randomUUID()
  const all = await Promise.all(
    Array.from({ length: 20 }, () =>
      ada.call('POST', `/projects/${id}/ai-command`, { text: 'hi' }, under(key))
    )
  )
  for (const { status, body, headers } of all) {
    if (status === 202) continue
    t.match({ status, code: body.code }, { status: 409, code: 'idempotency_in_flight' })
    t.equal(headers['retry-after'], '1')
  }
  t.ok(all.some(({ status }) => status === 202))
  t.equal((await ada.call('GET', `/projects/${id}/jobs`)).body.items.length, 1)
})

t.test('a refused request may be tried again under its key', async (t) => {
  const { doors } = await givenAda(t)
  const poor = await doors.person(0)
  const id = await poor.project()
  const key = randomUUID()
  const post = (k: string, text = 'hi') =>
    poor.call('POST', `/projects/${id}/ai-command`, { text }, under(k))
  t.equal((await post(key)).status, 402)
  await buy(poor, 1000)
  const bought = await post(key)
  t.match(bought, { status: 202 }, 'what it lacked is there now')
  t.notOk(bought.headers[replayed])
  t.match(await post(key), { status: 202, headers: { [replayed]: 'true' } })

  for (let n = 0; n < 19; n++) await post(randomUUID(), `${n}`)
  const full = randomUUID()
  t.equal((await post(full)).status, 429)
  const { body } = await poor.call('GET', `/projects/${id}/jobs`)
  t.equal((await poor.call('POST', `/jobs/${body.items[0].id}/cancel`)).status, 202)
  t.equal((await post(full)).status, 202)
})

t.test('who hangs up and asks again gets what the first request did', async (t) => {
  const { doors, ada } = await givenAda(t)
  const url = await listen(doors.app)
  const key = randomUUID()
  const headers = {
    authorization: `Bearer ${ada.key}`,
    'content-type': 'application/json',
    'idempotency-key': key
  }
  const body = JSON.stringify({ name: 'x' })
  const leaving = new AbortController()
  const lost = fetch(`${url}/projects`, { method: 'POST', headers, body, signal: leaving.signal })
  while ((await doors.db.selectFrom('idempotency_keys').selectAll().execute()).length < 2) {
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  leaving.abort()
  await t.rejects(lost)

  let again = await ada.call('POST', '/projects', { name: 'x' }, under(key))
  while (again.status === 409)
    again = await ada.call('POST', '/projects', { name: 'x' }, under(key))
  t.match(again, { status: 201, headers: { [replayed]: 'true' } })
  t.equal((await ada.call('GET', '/projects')).body.items.length, 1)
})

t.test('what a server made and died before it could say so is not made again', async (t) => {
  const { doors, ada } = await givenAda(t)
  const project = await ada.project()
  const { body: job } = await ada.call('POST', `/projects/${project}/ai-command`, { text: 'hi' })
  await ada.call('POST', `/jobs/${job.jobId}/cancel`)
  const forgetAnswers = () =>
    doors.db
      .updateTable('idempotency_keys')
      .set({ status: null, headers: null, body: null, created_at: new Date(Date.now() - 61_000) })
      .execute()

  for (const [url, body] of [
    ['/projects', { name: 'x', files: [{ path: 'a.txt', content: 'a' }] }],
    [`/projects/${project}/ai-command`, { text: 'hi' }],
    [`/jobs/${job.jobId}/retry`, undefined]
  ] as const) {
    const key = randomUUID()
    const first = await ada.call('POST', url, body, under(key))
    await forgetAnswers()
    const again = await ada.call('POST', url, body, under(key))
    t.notOk(again.headers[replayed], 'the answer was not stored')
    t.equal(again.status, first.status)
    t.same(again.body, first.body, `${url} is the same thing`)
  }
  t.equal((await ada.call('GET', '/projects')).body.items.length, 2)
  t.equal((await ada.call('GET', `/projects/${project}/jobs`)).body.items.length, 3)
  t.equal((await ada.call('GET', '/wallet')).body.reserved, 20, 'and held for once')

  const key = randomUUID()
  await ada.call('POST', '/projects', { name: 'x' }, under(key))
  await forgetAnswers()
  const other = await ada.call('POST', '/projects', { name: 'y' }, under(key))
  t.equal(other.body.name, 'y', 'another request has another name')
  t.equal((await ada.call('GET', '/projects')).body.items.length, 4)
})

t.test('a project that a server died over is made from the beginning', async (t) => {
  const { doors, ada } = await givenAda(t)
  const key = randomUUID()
  const first = await ada.call('POST', '/projects', { name: 'x' }, under(key))
  await doors.db.deleteFrom('projects').where('id', '=', first.body.id).execute()
  await doors.db
    .updateTable('idempotency_keys')
    .set({ status: null, created_at: new Date(0) })
    .execute()
  const again = await ada.call('POST', '/projects', { name: 'x' }, under(key))
  t.match(again, { status: 201, body: { id: first.body.id } })
})

t.test('a request that does not validate takes no key', async (t) => {
  const { ada } = await givenAda(t)
  const key = randomUUID()
  t.equal((await ada.call('POST', '/projects', { nam: 'x' }, under(key))).status, 400)
  t.equal((await ada.call('POST', '/projects', { name: 'x' }, under(key))).status, 201)
  for (const bad of ['', 'a b', 'ü', 'x'.repeat(256)]) {
    const answer = await ada.call('POST', '/projects', { name: 'x' }, under(bad))
    t.match(answer, { status: 400, body: { code: 'invalid_request' } }, `'${bad.slice(0, 9)}'`)
  }
  t.equal((await ada.call('POST', '/projects', { name: 'x' }, under('x'.repeat(255)))).status, 201)
})

t.test(
  'a purchase needs a key, and is never made twice, even when the key is forgotten',
  async (t) => {
    const { doors, ada } = await givenAda(t)
    t.match(await ada.call('POST', '/wallet/purchase', { credits: 5 }), {
      status: 400,
      body: { code: 'invalid_request', detail: /idempotency-key/ }
    })
    const first = await buy(ada, 7.5, 'k')
    t.ok(transactionId.is(first.body.transactionId))
    await doors.db.deleteFrom('idempotency_keys').execute()
    const again = await buy(ada, 7.5, 'k')
    t.same(again.body, first.body)
    await doors.db.deleteFrom('idempotency_keys').execute()
    t.match(await buy(ada, 8, 'k'), { status: 422, body: { code: 'idempotency_key_reused' } })
    t.equal((await ada.call('GET', '/wallet')).body.balance, 1007.5)
  }
)

t.test('a new user’s key is replayed, and stored only as its operator can read it', async (t) => {
  const { doors } = await givenAda(t)
  const key = randomUUID()
  const first = await doors.operator.call('POST', '/users', { name: 'x' }, under(key))
  const again = await doors.operator.call('POST', '/users', { name: 'x' }, under(key))
  t.equal(again.headers[replayed], 'true')
  t.same(again.body, first.body)
  const rows = await doors.db.selectFrom('idempotency_keys').selectAll().execute()
  t.equal(rows.length > 0, true)
  t.notMatch(JSON.stringify(rows), first.body.apiKey)
  const wallet = await ask(doors.app, 'GET', '/wallet', undefined, {
    authorization: `Bearer ${first.body.apiKey}`
  })
  t.equal(wallet.body.balance, 0)
  t.ok(ADMIN_KEY)
})

const request = { owner: 'usr_x', key: 'k', route: 'POST /x', bodyHash: 'h' }
const answer = { status: 201, headers: { location: '/x' }, body: '{}' }

async function givenStore(t: Test) {
  const { db } = await givenDoors(t)
  const age = async (seconds: number) => {
    const created_at = new Date(Date.now() - seconds * 1000)
    await db.updateTable('idempotency_keys').set({ created_at }).execute()
  }
  return { store: createIdempotencyStore(db), age, db }
}
const kinds = async (store: IdempotencyStore, ...more: Partial<typeof request>[]) =>
  Promise.all(more.map(async (one) => (await store.claim({ ...request, ...one })).kind))

t.test('a key that was left in flight is free again, one that is at work is not', async (t) => {
  const { store, age } = await givenStore(t)
  t.same(await kinds(store, {}), ['mine'])
  await age(50)
  t.same(await kinds(store, {}, { bodyHash: 'other' }), ['in-flight', 'reused'])
  await age(61)
  await store.touch(request)
  t.same(await kinds(store, {}), ['in-flight'], 'its server says that it is at work')
  await age(61)
  t.same((await kinds(store, {}, {})).toSorted(), ['in-flight', 'mine'], 'one of two takes it over')
})

t.test('an answer is kept for a day', async (t) => {
  const { store, age, db } = await givenStore(t)
  await store.claim(request)
  await store.finish(request, answer)
  await age(3600 * 23)
  t.same(await store.claim(request), { kind: 'answered', answer })
  await store.deleteExpired()
  t.same(await kinds(store, {}), ['answered'])
  await age(3600 * 25)
  t.same(await kinds(store, { bodyHash: 'other' }), ['mine'])
  await age(3600 * 25)
  await store.deleteExpired()
  t.same(await db.selectFrom('idempotency_keys').selectAll().execute(), [])
})

t.test('a request that lost its key to another stores no answer under it', async (t) => {
  const { store, age } = await givenStore(t)
  await store.claim(request)
  await age(61)
  const successor = { ...request, bodyHash: 'other' }
  t.equal((await store.claim(successor)).kind, 'mine')
  await store.finish(request, answer)
  await store.release(request)
  t.equal((await store.claim(successor)).kind, 'in-flight')
})
