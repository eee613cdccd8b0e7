import t from 'tap'
import { jobId, projectId, sessionId } from '#kernel/ids.ts'
import { givenDoors, type Answer, type Person } from '../../src/http/given-doors.ts'
import { listen, openSocket } from '../../src/http/stream/given-socket.ts'

interface Ids {
  readonly project: string
  readonly job: string
  readonly session: string
  readonly permission: string
}

type Shot = readonly [method: string, url: (ids: Ids) => string, body?: (ids: Ids) => unknown]

/** Every request that names something which belongs to a user. */
const SHOTS: readonly Shot[] = [
  ['GET', ({ project }) => `/projects/${project}`],
  ['PATCH', ({ project }) => `/projects/${project}`, () => ({ name: 'x' })],
  ['DELETE', ({ project }) => `/projects/${project}`],
  ['GET', ({ project }) => `/projects/${project}/files`],
  ['GET', ({ project }) => `/projects/${project}/files?at=main`],
  ['GET', ({ project }) => `/projects/${project}/files/a.txt`],
  ['GET', ({ project }) => `/projects/${project}/files/no/such.txt`],
  ['PUT', ({ project }) => `/projects/${project}/files/a.txt`, () => ({ content: 'x' })],
  ['DELETE', ({ project }) => `/projects/${project}/files/a.txt`],
  ['GET', ({ project }) => `/projects/${project}/jobs`],
  ['GET', ({ project }) => `/projects/${project}/events`],
  ['GET', ({ project }) => `/projects/${project}/sessions`],
  ['POST', ({ project }) => `/projects/${project}/ai-command`, () => ({ text: 'x' })],
  ['POST', ({ project }) => `/projects/${project}/ai-command?dryRun=true`, () => ({ text: 'x' })],
  ['POST', () => '/ws-tickets', ({ project }) => ({ projectId: project })],
  ['GET', ({ job }) => `/jobs/${job}`],
  ['GET', ({ job }) => `/jobs/${job}/diff`],
  ['GET', ({ job }) => `/jobs/${job}/events`],
  ['POST', ({ job }) => `/jobs/${job}/cancel`],
  ['POST', ({ job }) => `/jobs/${job}/retry`],
  ['POST', ({ job }) => `/jobs/${job}/merge`],
  ['POST', ({ job }) => `/jobs/${job}/merge?dryRun=true`],
  ['POST', ({ job }) => `/jobs/${job}/discard`],
  ['POST', ({ project }) => `/projects/${project}/repair`],
  ['POST', ({ job }) => `/jobs/${job}/revert`],
  [
    'POST',
    ({ job, permission }) => `/jobs/${job}/permissions/${permission}`,
    () => ({ reply: 'once' })
  ],
  ['POST', ({ job }) => `/jobs/${job}/questions/que_1`, () => ({ reject: true })],
  ['GET', ({ session }) => `/sessions/${session}/messages`]
]

/** The whole answer, without what differs between any two requests. */
function comparable({ status, headers, text }: Answer, ids: Ids): unknown {
  const {
    'x-request-id': requestId,
    'x-ratelimit-remaining': _,
    // The seconds that are left.
    'x-ratelimit-reset': __,
    date: ___,
    ...others
  } = headers
  const names = [...Object.values(ids), String(requestId)]
  const anonymous = names.reduce((sofar, name) => sofar.replaceAll(name, '<id>'), text)
  return { status, headers: others, text: anonymous }
}

async function given(t: Parameters<typeof givenDoors>[0]) {
  const doors = await givenDoors(t)
  const ada = await doors.person()
  const project = await ada.project({ 'a.txt': 'a' })
  const { body } = await ada.call('POST', `/projects/${project}/ai-command`, { text: 'hi' })
  const theirs: Ids = { project, job: body.jobId, session: body.sessionId, permission: 'per_1' }
  const unknown: Ids = {
    project: projectId.create(),
    job: jobId.create(),
    session: sessionId.create(),
    permission: 'per_1'
  }
  return { doors, ada, bob: await doors.person(), theirs, unknown }
}

t.test('answers an id of another user exactly as one that does not exist', async (t) => {
  const { ada, bob, theirs, unknown } = await given(t)
  const ask = (person: Person, [method, url, body]: Shot, ids: Ids) =>
    person.call(method, url(ids), body?.(ids))
  for (const shot of SHOTS) {
    const name = `${shot[0]} ${shot[1](theirs)}`
    const [other, none] = [await ask(bob, shot, theirs), await ask(bob, shot, unknown)]
    t.equal(other.status, 404, name)
    t.same(comparable(other, theirs), comparable(none, unknown), name)
  }
  t.equal((await ada.call('GET', `/projects/${theirs.project}`)).status, 200, 'nothing was changed')
  t.match((await ada.call('GET', `/jobs/${theirs.job}`)).body, { status: 'queued' })
})

t.test('does not continue a conversation of another user or project', async (t) => {
  const { ada, bob, theirs, unknown } = await given(t)
  for (const [person, says] of [
    [bob, 'of another user'],
    [ada, 'of another project']
  ] as const) {
    const mine = await person.project()
    const submit = (sessionId: string) =>
      person.call('POST', `/projects/${mine}/ai-command`, { text: 'x', sessionId })
    const [other, none] = [await submit(theirs.session), await submit(unknown.session)]
    t.equal(other.status, 404)
    t.same(comparable(other, theirs), comparable(none, unknown), says)
  }
})

t.test('closes the socket of a subscription to a project of another user as to none', async (t) => {
  const { doors, bob, theirs, unknown } = await given(t)
  const url = await listen(doors.app)
  const headers = { authorization: `Bearer ${bob.key}` }
  const closings = []
  for (const { project } of [theirs, unknown]) {
    const socket = await openSocket(t, url, { headers })
    socket.say({ type: 'subscribe', projectId: project })
    closings.push(await socket.closed())
  }
  t.match(closings[0], { code: 4004 })
  t.same(closings[0], closings[1])
})
