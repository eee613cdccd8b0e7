import t from 'tap'
import { sessionOf } from '../../../supervisor/kilo/schemas.ts'

t.test('finds the session of an event in one of three places, or nowhere', async (t) => {
  for (const [properties, owner] of [
    [{ sessionID: 'ses_a' }, 'ses_a'],
    [{ part: { sessionID: 'ses_a' } }, 'ses_a'],
    [{ info: { sessionID: 'ses_a' } }, 'ses_a'],
    [{ sessionID: 'ses_a', part: { sessionID: 'ses_b' } }, 'ses_a'],
    [{ sessionID: 7, info: { sessionID: 'ses_a' } }, 'ses_a'],
    [{ part: null, info: 'ses_a' }, undefined],
    [{ info: { id: 'ses_a' } }, undefined],
    [{ sessionID: '' }, ''],
    [undefined, undefined],
    [null, undefined],
    ['ses_a', undefined]
  ] as const) {
    t.equal(sessionOf({ properties }), owner, JSON.stringify(properties))
  }
})
