import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Dispatcher } from 'undici'
import type { Price, PriceList } from '#billing'
import { NO_USAGE, type Usage } from '#kernel/agent-events.ts'
import type { Clock } from '#kernel/clock.ts'
import { requestId, type ProjectId, type RequestId } from '#kernel/ids.ts'
import { LIMITS } from '#kernel/limits.ts'
import type { Log } from '#kernel/log.ts'
import { ZERO } from '#kernel/money.ts'
import type { Accounts, OpenAccount } from './paying-jobs.ts'
import { afford, type Wish } from './afford.ts'
import { forward, type Forwarded } from './forward.ts'
import { attributionOf, headersForProvider, tokenOf } from './headers.ts'
import { sizeOf, type InputCount, type RequestSize } from './input-count.ts'
import type { GatewayMetric } from './metrics.ts'
import { tokensOfChars } from './protocols/protocol.ts'
import { readRequest } from './read-request.ts'
import { GatewayRefusal } from './refusal.ts'
import type { Tokens } from './tokens.ts'
import type { Upstream } from './upstream.ts'

export interface ServeDeps {
  readonly tokens: Tokens
  readonly accounts: Accounts
  readonly prices: Pick<PriceList, 'find'>
  readonly inputs: InputCount
  readonly dispatcher: Dispatcher
  readonly drainMs: number
  readonly silenceMs: number
  readonly clock: Clock
  readonly log: Log
  readonly onMetric: (metric: GatewayMetric) => void
}

export interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** With its question mark, or empty. */
  readonly query: string
}

interface Asked {
  readonly id: RequestId
  /** Whose input this is, for counting the next one. */
  readonly key: string
  readonly size: RequestSize
  readonly model: string
  readonly price: Price
}

/** One model request: who asks, who pays, how much at most; then there and back, and what it did cost is written down. */
export async function serveRequest(
  deps: ServeDeps,
  upstream: Upstream,
  { request, response, query }: Exchange
): Promise<void> {
  const projectId = projectOf(deps, request)
  const { protocol } = upstream
  const { body, bytes, changed, model: name } = await readRequest(request)
  // Found when all of the request is here: from now on, without a pause, its account stays open for it.
  const account = deps.accounts.find(projectId)
  const model = `${upstream.id}/${name}`
  const price = priceFor(deps, account, model)
  const attribution = attributionOf(request.headers)
  const asked: Asked = {
    id: requestId.create(),
    key: `${account.projectId} ${attribution.agentSessionId} ${attribution.kind} ${model}`,
    size: sizeOf(body, bytes.length),
    model,
    price
  }

  const carryOut = async () => {
    const { maxTokens } = await payFor(deps, account, asked, {
      request: { id: asked.id, projectId: account.projectId, ...attribution, model },
      wanted: protocol.maxTokens(body)
    })
    const isOther = protocol.prepare(body, maxTokens) || changed
    const count = protocol.count()
    const forwarded = await forward({
      url: `${upstream.url}${query}`,
      headers: { ...headersForProvider(request.headers), ...upstream.keyHeaders },
      body: isOther ? JSON.stringify(body) : bytes,
      streams: body['stream'] === true,
      ...{ response, count, dispatcher: deps.dispatcher },
      ...{ drainMs: deps.drainMs, silenceMs: deps.silenceMs },
      ...{ signal: account.signal, scrub: upstream.scrub, now: () => deps.clock.monotonicMs() }
    })
    const known = () => {
      const learned = deps.inputs.about(asked.key, asked.size)
      return count.known(learned ?? tokensOfChars(protocol.promptChars(body)))
    }
    await writeDown(deps, account, asked, forwarded, known)
  }
  await account.during(carryOut())
}

function projectOf({ tokens }: ServeDeps, request: IncomingMessage): ProjectId {
  const token = tokenOf(request.headers)
  const projectId = token && tokens.projectOf(token)
  if (projectId) return projectId
  throw new GatewayRefusal('no_token', 'Nobody here knows this token.')
}

function priceFor({ prices }: ServeDeps, { models }: OpenAccount, model: string): Price {
  const price = prices.find(model)
  if (price && models.includes(model)) return price
  throw new GatewayRefusal('model_not_allowed', `This job may not ask ${model}.`)
}

async function payFor(
  { inputs }: ServeDeps,
  account: OpenAccount,
  { key, size, price }: Asked,
  { request, wanted }: { request: Wish['request']; wanted: number | undefined }
): Promise<{ readonly maxTokens: number }> {
  const most = price.outputTokens ?? LIMITS.answerTokensDefault
  const paid = await afford(account.purse, {
    ...{ request, price },
    inputTokens: inputs.atMost(key, size),
    inputTokensUsual: inputs.about(key, size) ?? tokensOfChars(size.textBytes),
    maxTokens: Math.min(wanted ?? most, most)
  })
  if (paid) return paid
  account.onExhausted()
  throw new GatewayRefusal('exhausted', 'The credits of this job are used up.')
}

async function writeDown(
  { inputs, log, onMetric }: ServeDeps,
  account: OpenAccount,
  { id, key, size, model, price }: Asked,
  { told, failure, ...end }: Forwarded,
  known: () => Usage
): Promise<void> {
  if (failure) log.warn({ id, model, err: failure }, 'provider connection failed')
  if (told) inputs.learn(key, size, told)
  const usage = told ?? (end.outcome === 'estimated' ? known() : NO_USAGE)
  onMetric({ kind: 'request', model, outcome: end.outcome, ttfbMs: end.ttfbMs })
  const closed = await account.purse.close(id, price, { ...end, usage })
  if (closed.kind === 'closed' && closed.overrun > ZERO) {
    onMetric({ kind: 'overrun', model })
    log.error(
      { id, model, overrun: String(closed.overrun) },
      'a model request cost more than its maximum'
    )
  }
}
