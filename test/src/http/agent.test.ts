import t from 'tap'
import { ask, givenDoors } from './given-doors.ts'

t.test('the agent of a project over HTTP', async (t) => {
  const { app, person } = await givenDoors(t)
  const owner = await person(0)
  const id = await owner.project()
  const stopped = {
    state: 'stopped',
    busy: false,
    startedAt: null,
    lastUsedAt: null,
    restarts: 0,
    failures: 0,
    brokenUntil: null,
    lastStop: null,
    memoryBytes: null,
    cpuMs: null,
    processes: null,
    isolation: 'process',
    network: 'shared',
    uid: 'shared'
  }

  await t.test('shows one that was never started', async (t) => {
    const { status, body } = await owner.call('GET', `/projects/${id}/agent`)
    t.equal(status, 200)
    const { since, ...others } = body
    t.same(others, stopped)
    t.ok(Date.now() - Date.parse(since) < 600_000)
  })

  await t.test('restarts one that does not run: nothing happens', async (t) => {
    for (const body of [undefined, {}, { force: true }, { force: false }]) {
      const answer = await owner.call('POST', `/projects/${id}/agent/restart`, body)
      t.equal(answer.status, 202)
      t.match(answer.body, stopped)
    }
  })

  await t.test('refuses bad input', async (t) => {
    for (const body of [{ force: 'yes' }, { forced: true }, [], '{', '"force"']) {
      const answer = await owner.call('POST', `/projects/${id}/agent/restart`, body)
      t.match(answer, { status: 400, body: { code: 'invalid_request' } }, JSON.stringify(body))
    }
    t.match(await owner.call('PUT', `/projects/${id}/agent`, {}), { status: 405 })
    t.match(await owner.call('GET', `/projects/${id}/agent/restart`), { status: 405 })
  })

  await t.test('answers other users as for a project that does not exist', async (t) => {
    const other = await person(0)
    const unknown = 'prj_01JZZZZZZZZZZZZZZZZZZZZZZZ'
    for (const [who, project] of [
      [other, id],
      [owner, unknown],
      [owner, '..%2F..%2Fetc'],
      [owner, 'x'.repeat(64)]
    ] as const) {
      const url = `/projects/${project}/agent`
      for (const answer of [
        await who.call('GET', url),
        await who.call('POST', `${url}/restart`, { force: true })
      ]) {
        t.match(answer, { status: 404, body: { code: 'not_found' } }, project)
      }
    }
    t.match(await ask(app, 'GET', `/projects/${id}/agent`), { status: 401 })
    t.match(await ask(app, 'POST', `/projects/${id}/agent/restart`), { status: 401 })
  })
})
