import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import t from 'tap'
import { createEventReader } from '../../../src/gateway/answers/answer-reader.ts'
import { createCallIds } from '../../../src/gateway/answers/call-ids.ts'
import { anthropic } from '../../../src/gateway/protocols/anthropic.ts'
import { openai } from '../../../src/gateway/protocols/openai.ts'
import type { ModelProtocol } from '../../../src/gateway/protocols/protocol.ts'
import { check } from '../../helpers/property.ts'

const readerOf = (protocol: ModelProtocol) => {
  const count = protocol.count()
  return { count, ...createEventReader({ protocol, count, callIds: createCallIds() }) }
}

/** What the agent gets of a stream that comes in these pieces. */
function passed(protocol: ModelProtocol, pieces: readonly Uint8Array[]) {
  const reader = readerOf(protocol)
  const out = [...pieces.map((piece) => Buffer.from(reader.feed(piece))), reader.end()]
  return { text: Buffer.concat(out).toString(), count: reader.count }
}

const textChunk = (words: string) => ({ choices: [{ index: 0, delta: { content: words } }] })

t.test('passes events on unchanged, wherever their bytes are cut', (t) => {
  const lineEnd = fc.constantFrom('\n', '\r\n', '\r')
  const event = fc.record({
    words: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }),
    before: fc.constantFrom('', ': ping', 'id: 7'),
    lineEnd
  })
  const events = fc.array(event, { minLength: 1, maxLength: 8 })
  const cuts = fc.array(fc.nat({ max: 600 }), { maxLength: 12 })

  check(
    fc.property(events, cuts, (events, cuts) => {
      const lines = events.flatMap(({ words, before, lineEnd }) => [
        ...(before === '' ? [] : [before + lineEnd]),
        `data: ${JSON.stringify(textChunk(words))}${lineEnd}${lineEnd}`
      ])
      const bytes = Buffer.from(lines.join(''))
      const at = [0, ...cuts.map((cut) => cut % bytes.length).toSorted((a, b) => a - b)]
      const pieces = at.map((from, index) => bytes.subarray(from, at[index + 1]))
      const { text, count } = passed(openai, pieces)
      // The end of the stream completes a last event whose line ends with a single CR.
      assert.equal(text.replace(/[\r\n]+$/, ''), bytes.toString().replace(/[\r\n]+$/, ''))
      const chars = events.reduce((sum, { words }) => sum + words.length, 0)
      assert.equal(count.known(0).output, Math.ceil(chars / 4))
    })
  )
  t.end()
})

t.test('drops an event that its stream does not complete', (t) => {
  const whole = `data: ${JSON.stringify(textChunk('a'))}\n\n`
  const bytes = Buffer.from(whole + whole.trimEnd())
  t.equal(passed(openai, [bytes]).text, whole + whole, 'only its empty line is missing')
  t.equal(passed(openai, [bytes.subarray(0, -4)]).text, whole, 'it has no end')
  t.end()
})

const toolUse = (index: number, id: unknown) => ({
  type: 'content_block_start',
  index,
  content_block: { type: 'tool_use', id, name: 'read', input: {} }
})
const call = (index: number | undefined, id: unknown, name?: string) => ({
  choices: [{ delta: { tool_calls: [{ index, id, function: { name, arguments: '{}' } }] } }]
})
const wholeMessage = (ids: readonly unknown[]) => ({
  choices: [{ message: { tool_calls: ids.map((id) => ({ id, function: { name: 'read' } })) } }]
})

/** The ids of the calls in the events that the agent gets. */
const idsIn = (text: string) => [...text.matchAll(/"id":"([^"]*)"/g)].map(([, id]) => id)

t.test('gives each tool call of an answer an id of its own', (t) => {
  const OURS = /^call_[0-9a-f]{24}$/
  const rows: [string, ModelProtocol, Record<string, unknown>[], (RegExp | string)[]][] = [
    ['twice', openai, [call(0, 'a', 'read'), call(1, 'a', 'read')], ['a', OURS]],
    [
      'twice, without places',
      openai,
      [call(undefined, 'a', 'x'), call(undefined, 'a', 'x')],
      ['a', OURS]
    ],
    ['repeated in each piece', openai, [call(0, 'a', 'read'), call(0, 'a')], ['a', 'a']],
    ['missing', openai, [call(0, undefined, 'read'), call(1, '', 'read')], [OURS, OURS]],
    ['in the pieces that follow', openai, [call(0, 'a', 'read'), call(0, undefined)], ['a']],
    ['different', openai, [call(0, 'a', 'read'), call(1, 'b', 'read')], ['a', 'b']],
    ['twice', anthropic, [toolUse(0, 'a'), toolUse(1, 'a')], ['a', OURS]],
    ['missing', anthropic, [toolUse(0, undefined)], [OURS]],
    ['different', anthropic, [toolUse(0, 'a'), toolUse(1, 'b')], ['a', 'b']]
  ]
  for (const [says, protocol, events, expected] of rows) {
    const bytes = Buffer.from(events.map((event) => protocol.piece(event)).join(''))
    const ids = idsIn(passed(protocol, [bytes]).text)
    t.match(ids, expected, `${protocol.path}: ${says}`)
    t.equal(ids.length, expected.length)
  }
  const repeated = [call(0, 'a', 'x'), call(1, 'a', 'x'), call(1, 'a')]
  const [, second, third] = idsIn(
    passed(openai, [Buffer.from(repeated.map((event) => openai.piece(event)).join(''))]).text
  )
  t.equal(second, third, 'every piece of a call has the same')

  const whole = wholeMessage(['a', 'a', ''])
  t.ok(openai.setCallIds(whole, createCallIds()))
  t.match(idsIn(JSON.stringify(whole)), ['a', OURS, OURS])
  t.notOk(openai.setCallIds(wholeMessage(['a', 'b']), createCallIds()))
  const message = {
    type: 'message',
    content: [toolUse(0, 'a'), toolUse(0, 'a')].map((start) => start.content_block)
  }
  t.ok(anthropic.setCallIds(message, createCallIds()))
  t.match(idsIn(JSON.stringify(message)), ['a', OURS])
  t.end()
})
