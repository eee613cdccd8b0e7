import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { jobId, projectId, sessionId, userId } from '#kernel/ids.ts'
import { ask, buy, givenDoors, type Answer } from './given-doors.ts'

t.test('users: made by the operator, each with a wallet of nothing', async (t) => {
  const { app, operator } = await givenDoors(t)
  const named = await operator.call('POST', '/users', { name: 'Ada' })
  t.equal(named.status, 201)
  t.ok(userId.is(named.body.id))
  t.match(named.body.apiKey, /^kw_/)
  t.equal((await operator.call('POST', '/users')).status, 201, 'a body is not needed')
  t.equal((await operator.call('POST', '/users', { nme: 'x' })).status, 400)
  const wallet = await ask(app, 'GET', '/wallet', undefined, {
    authorization: `Bearer ${named.body.apiKey}`
  })
  t.same(wallet.body, { userId: named.body.id, balance: 0, reserved: 0, spent: 0 })
})

t.test('projects: made, listed, changed and removed', async (t) => {
  const { person } = await givenDoors(t)
  const ada = await person(0)
  const bob = await person(0)
  const made = await ada.call('POST', '/projects', {
    name: '  Shop ',
    files: [{ path: 'a.txt', content: 'a' }],
    review: 'hold'
  })
  t.match(made, { status: 201, body: { name: 'Shop', review: 'hold', head: /^[0-9a-f]{40}$/ } })
  t.ok(projectId.is(made.body.id))
  t.equal(made.headers['location'], `/projects/${made.body.id}`)
  const url = `/projects/${made.body.id}`
  t.same((await ada.call('GET', url)).body, made.body)

  const changed = await ada.call('PATCH', url, { name: ' Store ', review: 'merge' })
  t.same(changed.body, { ...made.body, name: 'Store', review: 'merge' })
  t.same((await ada.call('PATCH', url, {})).body, changed.body)
  t.equal((await ada.call('PATCH', url, { head: 'x' })).status, 400)

  for (const [method, body] of [
    ['GET', undefined],
    ['PATCH', { name: 'mine' }],
    ['DELETE', undefined]
  ] as const) {
    t.equal((await bob.call(method, url, body)).status, 404, `${method} by another user`)
  }
  const saved = await ada.call('PUT', `${url}/files/b`, { content: 'b' })
  t.equal((await ada.call('GET', url)).body.head, saved.body.commit)

  t.match(await ada.call('DELETE', url), { status: 204, text: '' })
  t.equal((await ada.call('GET', url)).status, 404)
  t.equal((await ada.call('DELETE', url)).status, 404)
  t.same((await ada.call('GET', '/projects')).body, { items: [], nextCursor: null })
})

t.test('projects: pages newest first, whole and without repeats', async (t) => {
  const { person } = await givenDoors(t)
  const ada = await person(0)
  const made: string[] = []
  for (let n = 0; n < 5; n++) made.unshift(await ada.project())
  const seen: string[] = []
  let cursor: string | null = ''
  while (cursor !== null) {
    const { body }: Answer = await ada.call(
      'GET',
      `/projects?limit=2${cursor && `&cursor=${cursor}`}`
    )
    seen.push(...body.items.map(({ id }: { id: string }) => id))
    cursor = body.nextCursor
  }
  t.same(seen, made)
})

t.test('projects: what cannot be made leaves nothing behind', async (t) => {
  const { person, db } = await givenDoors(t)
  const ada = await person(0)
  const dead = createServer().listen(0)
  const { port } = dead.address() as AddressInfo
  await new Promise((resolve) => dead.close(resolve))
  for (const more of [
    { template: 'no-such-template' },
    { files: [{ path: '../out', content: '' }] },
    { files: [{ path: '.git/config', content: '' }] },
    { files: [{ path: 'a', content: '', encoding: 'utf-8' }] },
    { git: { url: `http://127.0.0.1:${port}/x.git` } },
    { git: { url: 'file:///etc' } },
    { git: { url: '--upload-pack=touch /tmp/x' } }
  ]) {
    const answer = await ada.call('POST', '/projects', { name: 'x', ...more })
    t.match(
      answer,
      { status: 400, body: { code: /^(invalid_request|path_not_allowed)$/ } },
      answer.text
    )
  }
  t.same((await ada.call('GET', '/projects')).body.items, [])
  t.same(await db.selectFrom('projects').selectAll().execute(), [])
})

t.test('wallet: lists purchases, holds and releases as transactions', async (t) => {
  const { person } = await givenDoors(t)
  const ada = await person(0)
  for (const bad of [0, -1, 1e10, 0.0000001, '5', null]) {
    const answer = await ada.call(
      'POST',
      '/wallet/purchase',
      { credits: bad },
      { 'idempotency-key': 'k' }
    )
    t.match(answer, { status: 400, body: { code: 'invalid_request' } }, `${bad}`)
  }
  t.match(await buy(ada, 12.345678), { status: 201, body: { balance: 12.345678 } })
  const id = await ada.project()
  const { body: job } = await ada.call('POST', `/projects/${id}/ai-command`, { text: 'hi' })
  t.match((await ada.call('GET', '/wallet')).body, { balance: 2.345678, reserved: 10, spent: 0 })
  await ada.call('POST', `/jobs/${job.jobId}/cancel`)
  t.match((await ada.call('GET', '/wallet')).body, { balance: 12.345678, reserved: 0 })

  const { body } = await ada.call('GET', '/wallet/transactions?limit=2')
  t.match(body.items, [
    { kind: 'release', jobId: job.jobId, amount: 10, change: 10, balanceAfter: 12.345678 },
    { kind: 'hold', jobId: job.jobId, amount: 10, change: -10, balanceAfter: 2.345678 }
  ])
  const next = await ada.call('GET', `/wallet/transactions?limit=2&cursor=${body.nextCursor}`)
  t.match(next.body, { items: [{ kind: 'grant', change: 12.345678 }], nextCursor: null })
  t.equal((await ada.call('GET', '/wallet/transactions?cursor=x')).status, 400)
})

t.test('wallet: more than it can tell exactly is refused, and what is there stays', async (t) => {
  const { person } = await givenDoors(t)
  const ada = await person(0)
  for (let i = 0; i < 7; i++) t.equal((await buy(ada, 1e9, `key-${i}`)).status, 201)
  t.equal((await buy(ada, 999_999_999.000001)).status, 201)
  t.match(await buy(ada, 1e9, 'more-than-fits'), {
    status: 400,
    body: { code: 'invalid_request', detail: /8000000000 credits/ }
  })
  t.match((await ada.call('GET', '/wallet')).body, { balance: 7_999_999_999.000001 })
})

t.test('jobs: asked for, seen, cancelled and tried again', async (t) => {
  const { person } = await givenDoors(t)
  const ada = await person()
  const bob = await person()
  const id = await ada.project()
  const asked = await ada.call('POST', `/projects/${id}/ai-command`, {
    text: 'Say hi',
    mode: 'coder'
  })
  t.match(asked, { status: 202, body: { status: 'queued', creditsReserved: 10, position: 0 } })
  t.ok(jobId.is(asked.body.jobId) && sessionId.is(asked.body.sessionId))
  t.equal(asked.headers['location'], `/jobs/${asked.body.jobId}`)
  const url = `/jobs/${asked.body.jobId}`
  t.match((await ada.call('GET', url)).body, { status: 'queued', mode: 'code', text: 'Say hi' })
  t.match((await ada.call('GET', `/projects/${id}/jobs`)).body.items, [{ id: asked.body.jobId }])

  for (const [method, path, body] of [
    ['GET', url, undefined],
    ['POST', `${url}/cancel`, undefined],
    ['POST', `${url}/retry`, undefined],
    ['GET', `${url}/diff`, undefined],
    ['POST', `${url}/merge`, undefined],
    ['POST', `${url}/discard?dryRun=true`, {}],
    ['POST', `${url}/revert`, undefined],
    ['POST', `${url}/permissions/x`, { reply: 'once' }],
    ['POST', `${url}/questions/x`, { reject: true }],
    ['GET', `${url}/events`, undefined],
    ['GET', `/projects/${id}/jobs`, undefined],
    ['GET', `/projects/${id}/events`, undefined],
    ['GET', `/projects/${id}/sessions`, undefined],
    ['GET', `/sessions/${asked.body.sessionId}/messages`, undefined],
    ['POST', `/projects/${id}/ai-command`, { text: 'hi' }]
  ] as const) {
    const answer = await bob.call(method, path, body)
    t.match(
      answer,
      { status: 404, body: { code: 'not_found' } },
      `${method} ${path} by another user`
    )
  }

  t.match(await ada.call('POST', `${url}/merge`), {
    status: 409,
    body: { code: 'job_not_mergeable' }
  })
  t.match(await ada.call('POST', `${url}/permissions/x`, { reply: 'once' }), { status: 404 })
  t.match(await ada.call('POST', `${url}/permissions/x`, { reply: 'maybe' }), { status: 400 })
  t.match(await ada.call('POST', `${url}/questions/x`, { reject: false }), { status: 400 })

  t.match(await ada.call('POST', `${url}/cancel`, {}), {
    status: 202,
    body: { status: 'cancelled' }
  })
  t.match(await ada.call('POST', `${url}/cancel`), { status: 202 }, 'again is the same')
  const again = await ada.call('POST', `${url}/retry`)
  t.match(again, { status: 202, body: { status: 'queued' } })
  t.equal(again.headers['location'], `/jobs/${again.body.jobId}`)

  t.match(await ada.call('POST', `/projects/${id}/ai-command`, { text: 'x', mode: 'dance' }), {
    status: 422,
    body: { code: 'unknown_mode', known: ['code'] }
  })
  t.match(await ada.call('POST', `/projects/${id}/ai-command`, { text: 'x', model: 'a/b' }), {
    status: 422,
    body: { code: 'unknown_model' }
  })
  const { body: sessions } = await ada.call('GET', `/projects/${id}/sessions`)
  t.match(sessions.items, [{ id: asked.body.sessionId, title: 'Say hi' }])
  const { body: messages } = await ada.call('GET', `/sessions/${asked.body.sessionId}/messages`)
  t.match(messages.items[0], { role: 'user', text: 'Say hi' })
})

t.test('a diff is JSON, or the raw patch when the client accepts it', async (t) => {
  const { person } = await givenDoors(t)
  const ada = await person()
  const id = await ada.project()
  const { body } = await ada.call('POST', `/projects/${id}/ai-command`, { text: 'x' })
  const json = await ada.call('GET', `/jobs/${body.jobId}/diff`)
  t.match(json, { status: 200, body: { files: [], truncated: false } })
  t.match(json.headers['vary'], /Origin, Accept/)
  const raw = await ada.call('GET', `/jobs/${body.jobId}/diff`, undefined, {
    accept: 'text/html, text/x-diff;q=0.9'
  })
  t.match(raw, { status: 200, text: '', headers: { 'content-type': /^text\/x-diff/ } })
})
