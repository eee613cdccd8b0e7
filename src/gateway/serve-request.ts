import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Dispatcher } from 'undici'
import type { Price, PriceList } from '#billing'
import { NO_USAGE, type Usage } from '#kernel/agent-events.ts'
import type { Clock } from '#kernel/clock.ts'
import { requestId, type ProjectId, type RequestId } from '#kernel/ids.ts'
import { LIMITS } from '#kernel/limits.ts'
import type { Log } from '#kernel/log.ts'
import { ZERO } from '#kernel/money.ts'
import { unlessAborted } from '#kernel/waiting.ts'
import type { BodyBudget } from '#net'
import type { Accounts, OpenAccount } from './paying-jobs.ts'
import { afford, type RequestEstimate } from './afford.ts'
import { forward, type Forwarded } from './forward.ts'
import { attributionOf, headersForProvider, tokenOf, turnTokenOf } from './headers.ts'
import { sizeOf, type InputCount, type RequestSize } from './input-count.ts'
import type { GatewayMetric } from './metrics.ts'
import { tokensOfChars } from './protocols/protocol.ts'
import { readRequest, type ReadDeps } from './read-request.ts'
import { GatewayRefusal } from './refusal.ts'
import type { Tokens } from './tokens.ts'
import type { Upstream } from './upstream.ts'

export interface ServeDeps extends ReadDeps {
  readonly tokens: Tokens
  readonly accounts: Accounts
  readonly prices: Pick<PriceList, 'find'>
  readonly inputs: InputCount
  /** The bytes of requests in memory, by project. */
  readonly bodies: BodyBudget
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
}

interface RequestFacts {
  readonly id: RequestId
  /** The conversation, for estimating its next request. */
  readonly key: string
  readonly size: RequestSize
  readonly model: string
  readonly price: Price
}

/** Serves one model request: finds the project and the account, covers the maximum cost, forwards, records the cost. */
export async function serveRequest(
  deps: ServeDeps,
  upstream: Upstream,
  { request, response }: Exchange
): Promise<void> {
  const projectId = projectOf(deps, request)
  const attribution = attributionOf(request.headers)
  const claim = { ...attribution, turnToken: turnTokenOf(request.headers) }
  // Refuses a request that is not of the running job before its body is read.
  deps.accounts.find(projectId, claim)
  using share = deps.bodies.open(projectId)
  const { protocol } = upstream
  const { body, size: bodyBytes, model: name } = await readRequest(deps, protocol, request, share)
  // Looked up after the whole body was read: no await lies between this line and `account.during`, so the account
  // cannot close in between.
  const account = deps.accounts.find(projectId, claim)
  const model = `${upstream.id}/${name}`
  const price = priceFor(deps, account, model)
  const facts: RequestFacts = {
    id: requestId.create(),
    key: `${account.projectId} ${attribution.agentSessionId} ${attribution.kind} ${model}`,
    size: sizeOf(body, bodyBytes),
    model,
    price
  }

  const send = async (maxTokens: number) => {
    protocol.prepare(body, maxTokens)
    const count = protocol.count()
    const forwarded = await forward({
      url: upstream.url,
      headers: { ...headersForProvider(request.headers), ...upstream.keyHeaders },
      body: JSON.stringify(body),
      streams: body['stream'] === true,
      mayBeEmpty: protocol.endsWithResults(body),
      response,
      protocol,
      count,
      dispatcher: deps.dispatcher,
      drainMs: deps.drainMs,
      silenceMs: deps.silenceMs,
      signal: account.signal,
      scrub: upstream.scrub,
      clock: deps.clock
    })
    if (forwarded.waitMs !== undefined) account.onRateLimited(forwarded.waitMs)
    const known = () => {
      const learned = deps.inputs.about(facts.key, facts.size)
      return count.known(learned ?? tokensOfChars(protocol.promptChars(body)))
    }
    if (count.isImplausible()) deps.onMetric({ kind: 'implausible-usage', model })
    await recordEnd(deps, account, facts, forwarded, known)
  }
  const carryOut = async () => {
    await beginOf(account)
    const { maxTokens } = await payFor(deps, account, facts, {
      request: { id: facts.id, projectId: account.projectId, ...attribution, model },
      wanted: protocol.maxTokens(body)
    })
    await account.credits.holding(send(maxTokens))
  }
  await account.during(carryOut())
}

async function beginOf({ ready, signal }: OpenAccount): Promise<void> {
  await unlessAborted(ready, signal).catch((cause: unknown) => {
    throw new GatewayRefusal('no_job', 'The job ended before its worktree was ready.', { cause })
  })
}

function projectOf({ tokens }: ServeDeps, request: IncomingMessage): ProjectId {
  const token = tokenOf(request.headers)
  const projectId = token && tokens.projectOf(token)
  if (projectId) return projectId
  throw new GatewayRefusal('no_token', 'Unknown or revoked agent token.')
}

function priceFor({ prices }: ServeDeps, { model: allowed }: OpenAccount, model: string): Price {
  const price = prices.find(model)
  if (price && model === allowed) return price
  throw new GatewayRefusal('model_not_allowed', `This job may use only the model ${allowed}.`)
}

async function payFor(
  { inputs }: ServeDeps,
  account: OpenAccount,
  { key, size, price }: RequestFacts,
  { request, wanted }: { request: RequestEstimate['request']; wanted: number | undefined }
): Promise<{ readonly maxTokens: number }> {
  const most = price.outputTokens ?? LIMITS.answerTokensDefault
  const estimate = () => ({
    request,
    price,
    inputTokens: inputs.atMost(key, size),
    inputTokensUsual: inputs.about(key, size) ?? tokensOfChars(size.textBytes),
    maxTokens: Math.min(wanted ?? most, most)
  })
  // What its siblings do not use comes back, so that a job with credits left is not exhausted.
  const attempt = () => afford(account.purse, estimate())
  const paid = await account.credits.obtain(attempt, account.signal)
  if (paid) return paid
  account.onExhausted()
  throw new GatewayRefusal('exhausted', 'The credits of this job are used up.')
}

async function recordEnd(
  { inputs, log, onMetric }: ServeDeps,
  account: OpenAccount,
  { id, key, size, model, price }: RequestFacts,
  { reported, failure, ...end }: Forwarded,
  known: () => Usage
): Promise<void> {
  if (failure) log.warn({ id, model, err: failure }, 'provider connection failed')
  if (reported) inputs.learn(key, size, reported)
  const usage = reported ?? (end.outcome === 'estimated' ? known() : NO_USAGE)
  onMetric({ kind: 'request', model, outcome: end.outcome, ttfbMs: end.ttfbMs })
  const closed = await account.purse.close(id, price, { ...end, usage })
  if (closed.kind === 'closed' && closed.overrun > ZERO) {
    onMetric({ kind: 'overrun', model })
    log.error(
      { id, model, overrun: String(closed.overrun) },
      'model request cost more than its maximum'
    )
  }
}
