import t from 'tap'
import { checkMessage } from '../../helpers/wire-checks.ts'
import { ask, givenDoors } from './given-doors.ts'

const frame = {
  ...{
    v: 1,
    id: 'evt_1',
    projectId: 'prj_1',
    jobId: 'job_1',
    seq: 1,
    ts: new Date().toISOString()
  },
  type: 'job:log',
  data: { source: 'assistant', partId: 'p', text: 'x' }
}

t.test('what is not as its schema says is found', async (t) => {
  t.same(checkMessage(frame), frame)
  for (const wrong of [
    { ...frame, type: 'job:dance' },
    { ...frame, seq: 0 },
    { ...frame, data: { ...frame.data, text: 1 } },
    { ...frame, data: { ...frame.data, more: 1 } },
    { ...frame, more: 1 },
    { v: 1, type: 'pong', data: {} }
  ]) {
    t.throws(() => checkMessage(wrong))
  }
})

t.test('a server has the schemas of what it says', async (t) => {
  const { app } = await givenDoors(t)
  const { status, body, headers } = await ask(app, 'GET', '/schemas/v1/frame.json')
  t.equal(status, 200)
  t.match(headers['content-type'], /application\/schema\+json/)
  t.match(body, { $id: 'kilowatt:///schemas/v1/frame.json', $schema: /2020-12/ })
  t.match(await ask(app, 'GET', '/schemas/v1/dance.json'), {
    status: 404,
    body: { code: 'not_found' }
  })
})
