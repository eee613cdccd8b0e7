import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { keyId, userId } from '#kernel/ids.ts'
import { systemClock } from '#kernel/clock.ts'
import { createAccounts } from '#accounts'
import { ask, givenDoors, type Doors, type Person } from '../../src/http/given-doors.ts'
import { listen, openSocket, refusal } from '../../src/http/stream/given-socket.ts'

const HOUR_MS = 3_600_000
const CLOSED_MS_MAX = 5000

async function given(t: Test) {
  let now = new Date('2026-01-01T12:00:00Z')
  const clock = { ...systemClock, now: () => now }
  const timings = { heartbeatMs: 200 }
  const doors = await givenDoors(t, { clock, accounts: createAccounts(clock), timings })
  const ada = await doors.person()
  return { doors, ada, wait: (ms: number) => (now = new Date(now.getTime() + ms)) }
}

/** Whether a key is valid. */
const opens = async ({ app }: Doors, key: string) =>
  (await ask(app, 'GET', '/wallet', undefined, { authorization: `Bearer ${key}` })).status === 200

t.test('keys: created, listed, revoked, by the user and the operator', async (t) => {
  const { doors, ada, wait } = await given(t)
  const url = `/users/${ada.id}/keys`
  for (const [by, name] of [
    [ada, 'the user'],
    [doors.operator, 'the operator']
  ] as const) {
    const made = await by.call('POST', url, { name })
    t.match(made, {
      status: 201,
      body: { name, apiKey: /^kw_/, expiresAt: null, lastUsedAt: null, revokedAt: null }
    })
    t.ok(keyId.is(made.body.id))
    t.ok(await opens(doors, made.body.apiKey), name)
    const { body: list } = await by.call('GET', url)
    t.equal(list.items[0].id, made.body.id, 'newest first')
    t.notOk(JSON.stringify(list).includes(made.body.apiKey.slice(3)), 'without the secret')
    t.equal(list.items[0].lastUsedAt, '2026-01-01T12:00:00.000Z')

    t.equal((await by.call('DELETE', `${url}/${made.body.id}`)).status, 204)
    t.notOk(await opens(doors, made.body.apiKey), 'a revoked key')
    t.equal((await by.call('DELETE', `${url}/${made.body.id}`)).status, 404, 'only once')
    t.match((await by.call('GET', url)).body.items[0], { revokedAt: String })
  }
  wait(30_000)
  await ada.call('GET', '/wallet')
  t.equal((await ada.call('GET', url)).body.items.at(-1).lastUsedAt, '2026-01-01T12:00:00.000Z')
  wait(31_000)
  await ada.call('GET', '/wallet')
  t.equal((await ada.call('GET', url)).body.items.at(-1).lastUsedAt, '2026-01-01T12:01:01.000Z')

  const rows = await doors.db.selectFrom('api_keys').selectAll().execute()
  t.notOk(JSON.stringify(rows).includes(ada.key.slice(3)), 'only hashes are stored')
})

t.test('keys of another user are answered like those of no user', async (t) => {
  const { doors, ada } = await given(t)
  const bob = await doors.person()
  const [own] = (await ada.call('GET', `/users/${ada.id}/keys`)).body.items
  const noUser = userId.create()
  for (const [method, path] of [
    ['GET', ''],
    ['POST', ''],
    ['DELETE', `/${own.id}`]
  ] as const) {
    const shoot = async (person: Person, id: string) => {
      const { status, text, body } = await person.call(method, `/users/${id}/keys${path}`)
      return [status, text.replaceAll(id, '<id>').replaceAll(body.requestId, '')]
    }
    t.equal((await shoot(bob, ada.id))[0], 404, method)
    t.same(await shoot(bob, ada.id), await shoot(bob, noUser))
    t.equal((await shoot(doors.operator, noUser))[0], 404, 'the operator, of no user')
  }
  t.equal((await bob.call('DELETE', `/users/${bob.id}/keys/${own.id}`)).status, 404)
  const stolen = { replaces: own.id }
  t.equal((await bob.call('POST', `/users/${bob.id}/keys`, stolen)).status, 404)
  t.equal((await ask(doors.app, 'GET', `/users/${ada.id}/keys`)).status, 401, 'without a key')
  t.ok(await opens(doors, ada.key))
})

t.test('keys expire, and rotate with an overlap', async (t) => {
  const { doors, ada, wait } = await given(t)
  const url = `/users/${ada.id}/keys`
  const expiring = await ada.call('POST', url, { expiresAt: '2026-01-01T13:00:00Z' })
  t.match(expiring, { status: 201, body: { expiresAt: '2026-01-01T13:00:00.000Z' } })
  const slow = await ada.call('POST', url, { replaces: expiring.body.id, overlapSeconds: 60 })
  t.ok(await opens(doors, expiring.body.apiKey), 'within the overlap')
  const fast = await ada.call('POST', url, { replaces: slow.body.id })
  t.notOk(await opens(doors, slow.body.apiKey), 'without an overlap')
  wait(60_000)
  t.notOk(await opens(doors, expiring.body.apiKey), 'after the overlap')
  t.ok(await opens(doors, fast.body.apiKey))

  const short = await ada.call('POST', url, { expiresAt: '2026-01-01T14:00:00+01:00' })
  wait(HOUR_MS)
  t.notOk(await opens(doors, short.body.apiKey), 'an expired key')
  const again = { replaces: short.body.id }
  t.equal((await ada.call('POST', url, again)).status, 404, 'which cannot be replaced')
  for (const body of [
    { expiresAt: '2026-01-01T12:00:00Z' },
    { expiresAt: 'tomorrow' },
    { expiresAt: '2026-13-01T12:00:00Z' },
    { overlapSeconds: -1 },
    { name: '' },
    { owner: 'x' }
  ]) {
    t.equal((await ada.call('POST', url, body)).status, 400, JSON.stringify(body))
  }
})

t.test('a user has a bounded number of keys, and a repeated request creates one', async (t) => {
  const { ada } = await given(t)
  const url = `/users/${ada.id}/keys`
  const once = { 'idempotency-key': randomUUID() }
  const first = await ada.call('POST', url, {}, once)
  t.same((await ada.call('POST', url, {}, once)).body, first.body)
  for (let n = 2; n < 50; n += 1) t.equal((await ada.call('POST', url)).status, 201)
  t.equal((await ada.call('POST', url)).status, 400, 'a 51st')
  t.equal((await ada.call('POST', url, { replaces: first.body.id })).status, 201, 'a replacement')
  const page = await ada.call('GET', `${url}?limit=20`)
  t.equal(page.body.items.length, 20)
  const next = await ada.call('GET', `${url}?limit=20&cursor=${page.body.nextCursor}`)
  t.ok(next.body.items[0].id < page.body.items[19].id)
})

t.test(
  'a key that ends closes its sockets and event streams, and those of its tickets',
  async (t) => {
    const { doors, ada, wait } = await given(t)
    const projectId = await ada.project()
    const url = await listen(doors.app)
    const keys = `/users/${ada.id}/keys`
    const open = async (key: string) => {
      const headers = { authorization: `Bearer ${key}` }
      const ticket = await ask(doors.app, 'POST', '/ws-tickets', { projectId }, headers)
      const stream = await fetch(`${url}/projects/${projectId}/events`, {
        headers: { ...headers, accept: 'text/event-stream' }
      })
      return {
        stream: stream.text(),
        sockets: await Promise.all([
          openSocket(t, url, { headers }),
          openSocket(t, url, { path: `/ws?ticket=${ticket.body.ticket}` })
        ])
      }
    }
    const expect = async ({ stream, sockets }: Awaited<ReturnType<typeof open>>, how: string) => {
      const ended = Promise.all([stream, ...sockets.map((socket) => socket.closed())])
      const late = new Promise<never>((_, reject) =>
        setTimeout(() => reject(new Error(`${how}: still open`)), CLOSED_MS_MAX).unref()
      )
      const [, ...closings] = await Promise.race([ended, late])
      for (const closing of closings) t.match(closing, { code: 4001, reason: /revoked/ }, how)
    }

    const other = await open(ada.key)
    const revoked = (await ada.call('POST', keys)).body
    const before = await open(revoked.apiKey)
    const ticket = await ask(
      doors.app,
      'POST',
      '/ws-tickets',
      { projectId },
      {
        authorization: `Bearer ${revoked.apiKey}`
      }
    )
    t.equal((await ada.call('DELETE', `${keys}/${revoked.id}`)).status, 204)
    await expect(before, 'revoked')
    const path = `/ws?ticket=${ticket.body.ticket}`
    t.equal((await refusal(openSocket(t, url, { path }))).status, 401, 'its tickets are void')

    const expiresAt = '2026-01-01T12:30:00Z'
    const expiring = (await ada.call('POST', keys, { expiresAt })).body
    const during = await open(expiring.apiKey)
    wait(HOUR_MS)
    await expect(during, 'expired')
    for (const { ws } of other.sockets) t.equal(ws.readyState, ws.OPEN, 'another key continues')
  }
)
