import t from 'tap'
import { givenDoors } from './given-doors.ts'
import { listen } from './stream/given-socket.ts'

t.test('answers with the media type that the Accept header prefers', async (t) => {
  const doors = await givenDoors(t)
  const ada = await doors.person(0)
  const id = await ada.project()
  const url = await listen(doors.app)

  for (const [accept, expected] of [
    [undefined, 'application/json'],
    ['*/*', 'application/json'],
    ['application/*', 'application/json'],
    ['text/event-stream', 'text/event-stream'],
    ['text/event-stream;q=0, application/json', 'application/json'],
    ['application/json;q=0.5, text/event-stream', 'text/event-stream'],
    ['text/event-stream;q=0.5, application/json', 'application/json'],
    ['image/png', 'application/json']
  ] as const) {
    const leaving = new AbortController()
    const answer = await fetch(`${url}/projects/${id}/events`, {
      signal: leaving.signal,
      headers: { authorization: `Bearer ${ada.key}`, ...(accept && { accept }) }
    })
    leaving.abort()
    t.match(answer.headers.get('content-type'), expected, `Accept: ${accept}`)
  }
})
