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
import { at, OPENAI_BLOCKS, OPENAI_FIELDS, usageOfOpenai } from './usage-shapes.ts'

interface Chunk {
  readonly error?: unknown
  readonly choices?: readonly Choice[] | null
}

interface Choice {
  readonly delta?: Message | null
  readonly message?: Message | null
  readonly finish_reason?: string | null
}

interface Message {
  readonly content?: unknown
  readonly reasoning_content?: unknown
  readonly reasoning?: unknown
  readonly refusal?: unknown
  readonly tool_calls?: readonly Call[] | null
}

interface Call {
  readonly index?: unknown
  id?: unknown
  readonly function?: { readonly name?: unknown; readonly arguments?: unknown }
}

/** With these an answer may end before its first visible character. */
const CUT_SHORT = new Set(['length', 'content_filter'])

/** The fields that Kilo's provider libraries send, and those that change only how the model answers. */
const FIELDS = new Set([
  ...['model', 'messages', 'tools', 'tool_choice', 'parallel_tool_calls', 'functions'],
  ...['stream', 'stream_options', 'max_tokens', 'max_completion_tokens', 'stop', 'seed'],
  ...['temperature', 'top_p', 'top_k', 'min_p', 'presence_penalty', 'frequency_penalty'],
  ...['repetition_penalty', 'logit_bias', 'response_format', 'prompt_cache_key', 'user'],
  ...['reasoning', 'reasoning_effort', 'include_reasoning', 'thinking', 'enable_thinking'],
  ...['thinking_budget', 'verbosity', 'chat_template_kwargs', 'chat_template_args']
])

const piece = (data: unknown) => `data: ${JSON.stringify(data)}\n\n`

/** `POST /chat/completions`: the last chunk contains the usage, if the request asks for it. */
export const openai: ModelProtocol = {
  path: '/chat/completions',
  fields: FIELDS,
  keyHeaders: (key) => ({ authorization: `Bearer ${key}` }),
  isOwnTool: ({ type }) => type === undefined || type === 'function' || type === 'custom',

  maxTokens(body) {
    const limits = [body['max_completion_tokens'], body['max_tokens']]
    const given = limits.flatMap((limit) => numberOr(limit, undefined) ?? [])
    return given.length > 0 ? Math.min(...given) : undefined
  },

  prepare(body, maxTokens) {
    const isNew = 'max_completion_tokens' in body
    delete body[isNew ? 'max_tokens' : 'max_completion_tokens']
    body[isNew ? 'max_completion_tokens' : 'max_tokens'] = maxTokens
    if (body['stream'] === true) body['stream_options'] = { include_usage: true }
    else delete body['stream_options']
  },

  endsWithResults: ({ messages }) =>
    (Array.isArray(messages) ? (messages as { role?: unknown }[]) : []).at(-1)?.role === 'tool',
  promptChars: ({ messages, tools }) => JSON.stringify([messages, tools]).length,
  count: createCount,
  refusal: (type, message) => ({ error: { message, type, code: type } }),
  setCallIds,
  refusalPiece: (type, message) => piece(openai.refusal(type, message)),
  piece,
  streamOf
}

/** The first piece of a call has its name or its id. A call without an index is whole. */
function setCallIds({ choices }: Body, ids: CallIds): boolean {
  let isChanged = false
  for (const { delta, message } of Array.isArray(choices) ? (choices as Choice[]) : []) {
    for (const call of (delta ?? message)?.tool_calls ?? []) {
      const begins = [call.function?.name, call.id].some((name) => (name ?? '') !== '')
      if (!begins) continue
      const id = ids.idFor(call.index ?? Symbol('call'), call.id)
      isChanged ||= id !== call.id
      call.id = id
    }
  }
  return isChanged
}

function createCount(): AnswerCount {
  const usage = createUsageCount(OPENAI_FIELDS, usageOfOpenai)
  const content = createContentCount()
  const { finish, readError, ...progress } = createProgress(content.pieces, CUT_SHORT)

  const readChoice = ({ delta, message: whole, finish_reason: reason }: Choice) => {
    const message = delta ?? whole
    content.text(message?.content)
    content.text(message?.reasoning_content ?? message?.reasoning)
    content.text(message?.refusal)
    for (const call of message?.tool_calls ?? []) {
      content.call(call.function?.name)
      content.text(call.function?.arguments)
    }
    if (typeof reason === 'string' && reason !== '') finish(reason)
  }

  return {
    ...progress,
    read(data) {
      const chunk = data as Chunk
      readError(chunk.error)
      for (const choice of chunk.choices ?? []) readChoice(choice)
      for (const path of OPENAI_BLOCKS) usage.read(at(chunk, path))
    },
    content: content.pieces,
    reported: () =>
      usage.has('prompt') && usage.has('answer') ? believed(usage, content.chars()) : undefined,
    isImplausible: () =>
      usage.isImpossible() || (usage.has('answer') && !believed(usage, content.chars())),
    known: (input) =>
      progress.failure() !== undefined && content.pieces() === 0 && !usage.has('answer')
        ? NO_USAGE
        : estimateOf(usage, input, tokensOfChars(content.chars()))
  }
}

/** One chunk with the whole answer, one with its usage, and the end. */
function streamOf({ choices, usage, ...head }: Body): string {
  const chunk = (more: object) => piece({ ...head, object: 'chat.completion.chunk', ...more })
  const pieces = (Array.isArray(choices) ? (choices as Choice[]) : []).map((choice, index) => {
    const calls = choice.message?.tool_calls?.map((call, index) => ({ index, ...call }))
    const delta = { ...choice.message, ...(calls && { tool_calls: calls }) }
    const reason = choice.finish_reason ?? null
    return chunk({ choices: [{ index, delta, finish_reason: reason }] })
  })
  const counted = usage === undefined ? [] : [chunk({ choices: [], usage })]
  return [...pieces, ...counted, 'data: [DONE]\n\n'].join('')
}
