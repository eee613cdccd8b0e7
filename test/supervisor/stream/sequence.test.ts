import t from 'tap'
import { createSequenceTracker } from '../../../supervisor/stream/sequence.ts'

const event = (id: string | undefined, type = 'todo.updated') =>
  JSON.stringify({ payload: { ...(id === undefined ? {} : { id }), type, properties: {} } })
const sync = (aggregateID: string, seq: unknown) =>
  JSON.stringify({ payload: { type: 'sync', syncEvent: { aggregateID, seq } } })

t.test('lets an event through once, also when it is repeated', async (t) => {
  const sequence = createSequenceTracker()
  t.equal(sequence.track(event('evt_1')).kind, 'event')
  t.equal(sequence.track(event('evt_2')).kind, 'event')
  t.equal(sequence.track(event('evt_1')).kind, 'skip')
  t.equal(sequence.track(event(undefined)).kind, 'event', 'an event without an id is always new')
  t.equal(sequence.track(event(undefined)).kind, 'event')
})

t.test('forgets old event ids', async (t) => {
  const sequence = createSequenceTracker()
  for (let i = 0; i < 10_000; i++) sequence.track(event(`evt_${i}`))
  t.equal(sequence.track(event('evt_9999')).kind, 'skip')
  t.equal(sequence.track(event('evt_0')).kind, 'event')
})

t.test('reports a missing number once, until the gap is closed', async (t) => {
  const sequence = createSequenceTracker()
  const gap = { kind: 'loss', why: 'gap' }
  const track = (session: string, ...seqs: number[]) =>
    seqs.map((seq) => sequence.track(sync(session, seq)))
  const skip = { kind: 'skip' }

  t.same(track('ses_a', 7, 8, 8, 9, 3), [skip, skip, skip, skip, skip])
  t.same(track('ses_b', 0, 1), [skip, skip], 'each session has its own cursor')
  t.same(track('ses_a', 11, 12), [gap, skip])
  t.equal(sequence.lastSeq('ses_a'), 9, 'the history is read from here')
  sequence.markRead('ses_a', 11)
  sequence.closeGaps()
  t.equal(sequence.lastSeq('ses_a'), 12)
  t.same(track('ses_a', 13, 15), [skip, gap])
  sequence.closeGaps()
  t.equal(sequence.lastSeq('ses_a'), 15, 'also without a listener that read it')
  t.equal(sequence.lastSeq('ses_z'), undefined)
})

t.test('reports garbage as a loss and continues', async (t) => {
  const sequence = createSequenceTracker()
  for (const data of [
    '',
    '{',
    'null',
    '[]',
    '7',
    '"payload"',
    '{}',
    '{"payload":null}',
    '{"payload":{}}',
    '{"payload":{"type":7}}',
    '{"__proto__":{"payload":{"type":"x"}}}',
    sync('ses_a', 'seven'),
    sync('ses_a', -1),
    '{"payload":{"type":"sync"}}',
    '['.repeat(100_000)
  ]) {
    t.same(sequence.track(data), { kind: 'loss', why: 'garbage' }, data.slice(0, 40))
  }
  t.equal(sequence.track(event('evt_1')).kind, 'event')
})
