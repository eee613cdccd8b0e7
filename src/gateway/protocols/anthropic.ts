import { NO_USAGE } from '#kernel/agent-events.ts'
import {
  createContentCount,
  createProgress,
  numberOr,
  tokensOfChars,
  type AnswerCount,
  type Body,
  type CallIds,
  type ModelProtocol
} from './protocol.ts'
import { believed, createUsageCount, estimateOf } from './usage-count.ts'
import { ANTHROPIC_FIELDS, usageOfAnthropic } from './usage-shapes.ts'

interface Event {
  readonly type?: string
  readonly message?: { readonly usage?: unknown } | null
  readonly usage?: { readonly output_tokens?: unknown } | null
  readonly delta?: (Block & { readonly stop_reason?: string | null }) | null
  readonly content_block?: Block | null
  readonly content?: readonly Block[]
  readonly stop_reason?: string | null
  readonly error?: unknown
}

interface Block {
  readonly type?: string
  readonly text?: unknown
  readonly thinking?: unknown
  readonly partial_json?: unknown
  readonly name?: unknown
  readonly input?: unknown
}

/** With these an answer may end before its first visible character. */
const CUT_SHORT = new Set(['max_tokens', 'refusal', 'model_context_window_exceeded'])

const FIELDS = new Set([
  ...['model', 'messages', 'system', 'tools', 'tool_choice', 'stream', 'max_tokens'],
  ...['temperature', 'top_p', 'top_k', 'stop_sequences', 'thinking', 'metadata'],
  ...['output_config', 'output_format', 'cache_control']
])

const piece = (data: { readonly type?: unknown }) =>
  `event: ${String(data.type)}\ndata: ${JSON.stringify(data)}\n\n`

/** `POST /messages`: the first event contains the input tokens, the last one the output tokens. */
export const anthropic: ModelProtocol = {
  path: '/messages',
  fields: FIELDS,
  keyHeaders: (key) => ({ 'x-api-key': key }),
  isOwnTool: ({ type }) => type === undefined || type === null || type === 'custom',
  maxTokens: (body) => numberOr(body['max_tokens'], undefined),

  prepare(body, maxTokens) {
    body['max_tokens'] = maxTokens
    // The thinking budget counts towards max_tokens, and must be smaller.
    const thinking = body['thinking'] as { type?: string; budget_tokens?: number } | undefined
    if ((thinking?.budget_tokens ?? 0) >= maxTokens) delete body['thinking']
  },

  endsWithResults({ messages }) {
    const last = (Array.isArray(messages) ? (messages as { content?: unknown }[]) : []).at(-1)
    const content = Array.isArray(last?.content) ? (last.content as Block[]) : []
    return content.some(({ type }) => type === 'tool_result')
  },
  promptChars: ({ system, messages, tools }) => JSON.stringify([system, messages, tools]).length,
  count: createCount,
  refusal: (type, message) => ({ type: 'error', error: { type, message } }),
  setCallIds,
  refusalPiece: (type, message) => piece(anthropic.refusal(type, message)),
  piece,
  streamOf
}

/** A call is named where its block starts; in a whole answer the blocks are a list. */
function setCallIds(data: Body, ids: CallIds): boolean {
  const { type, index, content_block: started, content } = data as Event & { index?: unknown }
  if (type === 'content_block_start') return setCallId(started, index, ids)
  if (!Array.isArray(content)) return false
  const changed = (content as Block[]).map((block, index) => setCallId(block, index, ids))
  return changed.includes(true)
}

function setCallId(block: Block | null | undefined, index: unknown, ids: CallIds): boolean {
  if (block?.type !== 'tool_use') return false
  const call = block as { id?: unknown }
  const id = ids.idFor(index, call.id)
  const isChanged = id !== call.id
  call.id = id
  return isChanged
}

function createCount(): AnswerCount {
  const usage = createUsageCount(ANTHROPIC_FIELDS, usageOfAnthropic)
  const content = createContentCount()
  const { finish, readError, ...progress } = createProgress(content.pieces, CUT_SHORT)
  // The number in the first event is not final.
  let hasAnswer = false

  const readBlock = (block: Block) => {
    content.text(block.text)
    content.text(block.thinking)
    content.text(block.partial_json)
    if (block.type === 'tool_use') content.call(block.name)
    if (block.type === 'redacted_thinking') content.call('thinking')
  }

  const readMessage = (message: Event) => {
    readUsage(message.usage)
    for (const block of message.content ?? []) {
      readBlock(block)
      if (block.type === 'tool_use') content.text(JSON.stringify(block.input ?? {}))
    }
    finish(message.stop_reason)
  }
  const readUsage = (block: Event['usage']) => {
    usage.read(block)
    hasAnswer ||= numberOr(block?.output_tokens, undefined) !== undefined
  }
  const readers: Readonly<Record<string, (event: Event) => void>> = {
    message_start: (event) => usage.read(event.message?.usage),
    content_block_start: (event) => readBlock(event.content_block ?? {}),
    content_block_delta: (event) => readBlock(event.delta ?? {}),
    message_delta(event) {
      readUsage(event.usage)
      if (event.delta?.stop_reason) finish(event.delta.stop_reason)
    },
    message_stop: progress.done,
    message: readMessage
  }
  const credible = () => (hasAnswer ? believed(usage, content.chars()) : undefined)

  return {
    ...progress,
    read(data) {
      const event = data as Event
      readers[event.type ?? '']?.(event)
      readError(event.error)
    },
    content: content.pieces,
    reported: () => (usage.has('prompt') ? credible() : undefined),
    isImplausible: () => usage.isImpossible() || (hasAnswer && credible() === undefined),
    known(inputTokens) {
      if (progress.failure() !== undefined && content.pieces() === 0 && !usage.has('prompt'))
        return NO_USAGE
      return estimateOf(usage, inputTokens, tokensOfChars(content.chars()))
    }
  }
}

/** The events that a stream of this message would have had, with each block in one piece. */
function streamOf(whole: Body): string {
  const {
    content,
    stop_reason: reason,
    stop_sequence: sequence = null,
    usage = {},
    ...head
  } = whole
  const message = { ...head, content: [], stop_reason: null, stop_sequence: null, usage }
  const blocks = (Array.isArray(content) ? (content as Block[]) : []).flatMap((block, index) => [
    piece({ type: 'content_block_start', index, content_block: emptied(block) } as object),
    ...deltasOf(block).map((delta) =>
      piece({ type: 'content_block_delta', index, delta } as object)
    ),
    piece({ type: 'content_block_stop', index } as object)
  ])
  return [
    piece({ type: 'message_start', message } as object),
    ...blocks,
    piece({
      type: 'message_delta',
      delta: { stop_reason: reason ?? 'end_turn', stop_sequence: sequence },
      usage
    } as object),
    piece({ type: 'message_stop' })
  ].join('')
}

const emptied = (block: Block): Block => ({
  ...block,
  ...(block.type === 'text' && { text: '' }),
  ...(block.type === 'thinking' && { thinking: '', signature: '' }),
  ...(block.type === 'tool_use' && { input: {} })
})

function deltasOf(block: Block & { readonly signature?: unknown }): object[] {
  const { type, text, thinking, signature = '', input = {} } = block
  if (type === 'text') return [{ type: 'text_delta', text }]
  if (type === 'tool_use') {
    return [{ type: 'input_json_delta', partial_json: JSON.stringify(input) }]
  }
  if (type !== 'thinking') return []
  return [
    { type: 'thinking_delta', thinking },
    { type: 'signature_delta', signature }
  ]
}
