import t from 'tap'
import { createSequenceTracker } from '../../../supervisor/stream/sequence.ts'

const event = (id: string | undefined, type = 'todo.updated') =>
  JSON.stringify({ payload: { ...(id === undefined ? {} : { id }), type, properties: {} } })
const sync = (aggregateID: string, seq: unknown) =>
  JSON.stringify({ payload: { type: 'sync', syncEvent: { aggregateID, seq } } })

t.test('an event is heard once, also when it is said again', async (t) => {
  const sequence = createSequenceTracker()
  t.equal(sequence.hear(event('evt_1')).kind, 'event')
  t.equal(sequence.hear(event('evt_2')).kind, 'event')
  t.equal(sequence.hear(event('evt_1')).kind, 'nothing')
  t.equal(sequence.hear(event(undefined)).kind, 'event', 'what has no name is always new')
  t.equal(sequence.hear(event(undefined)).kind, 'event')
})

t.test('of what was said long ago no memory is kept', async (t) => {
  const sequence = createSequenceTracker()
  for (let i = 0; i < 10_000; i++) sequence.hear(event(`evt_${i}`))
  t.equal(sequence.hear(event('evt_9999')).kind, 'nothing')
  t.equal(sequence.hear(event('evt_0')).kind, 'event')
})

t.test('a number that is left out proves a loss, once, until it has been asked for', async (t) => {
  const sequence = createSequenceTracker()
  const gap = { kind: 'loss', why: 'gap' }
  const heard = (session: string, ...seqs: number[]) =>
    seqs.map((seq) => sequence.hear(sync(session, seq)))
  const fine = { kind: 'nothing' }

  t.same(heard('ses_a', 7, 8, 8, 9, 3), [fine, fine, fine, fine, fine])
  t.same(heard('ses_b', 0, 1), [fine, fine], 'each session counts for itself')
  t.same(heard('ses_a', 11, 12), [gap, fine])
  t.equal(sequence.lastSeq('ses_a'), 9, 'from here on the history is read')
  sequence.markRead('ses_a', 11)
  sequence.closeGaps()
  t.equal(sequence.lastSeq('ses_a'), 12)
  t.same(heard('ses_a', 13, 15), [fine, gap])
  sequence.closeGaps()
  t.equal(sequence.lastSeq('ses_a'), 15, 'nobody wanted to know')
  t.equal(sequence.lastSeq('ses_z'), undefined)
})

t.test('garbage is a loss, and no more than that', async (t) => {
  const sequence = createSequenceTracker()
  for (const data of [
    ...['', '{', 'null', '[]', '7', '"payload"', '{}', '{"payload":null}', '{"payload":{}}'],
    '{"payload":{"type":7}}',
    '{"__proto__":{"payload":{"type":"x"}}}',
    sync('ses_a', 'seven'),
    sync('ses_a', -1),
    '{"payload":{"type":"sync"}}',
    '['.repeat(100_000)
  ]) {
    t.same(sequence.hear(data), { kind: 'loss', why: 'garbage' }, data.slice(0, 40))
  }
  t.equal(sequence.hear(event('evt_1')).kind, 'event')
})
