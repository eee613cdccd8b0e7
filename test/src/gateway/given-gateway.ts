import { request as httpRequest, type IncomingMessage } from 'node:http'
import type { Test } from 'tap'
import {
  createLedger,
  createRequestMeter,
  createPurse,
  readPriceList,
  type ModelRequest
} from '#billing'
import type { Db } from '#db'
import { script, startScriptedModel, type Step } from '#fixtures'
import { openGateway, type GatewayMetric, type GatewayOptions } from '#gateway'
import { systemClock } from '#kernel/clock.ts'
import { jobId, projectId, transactionId, userId } from '#kernel/ids.ts'
import { silentLog } from '#kernel/log.ts'
import { parseCredits, type Microcredits } from '#kernel/money.ts'
import { openTestDatabase } from '../../helpers/database.ts'

export const KEY = 'sk-the-real-provider-key-0123456789'
export const OPENAI = 'openai-compatible/scripted'
export const ANTHROPIC = 'anthropic/scripted'

/** The job's token of each agent: an agent sends it by itself, so a test does too, unless it gives another. */
const turnTokens = new Map<string, string>()

const credits = (amount: number) => parseCredits(amount) as Microcredits

/** A gateway between a test and a scripted model, with books behind it. */
export async function givenGateway(t: Test, options: Partial<GatewayOptions> = {}) {
  const db: Db = await openTestDatabase(t)
  const ledger = createLedger()
  const requests = createRequestMeter()
  const prices = await readPriceList()
  const model = await startScriptedModel({ apiKey: KEY })
  t.teardown(() => model[Symbol.asyncDispose]())
  const metrics: GatewayMetric[] = []
  const gateway = await openGateway({
    providers: [
      { id: 'openai-compatible', baseUrl: model.url, apiKey: KEY },
      { id: 'anthropic', baseUrl: model.url, apiKey: KEY }
    ],
    ...{ prices, clock: systemClock, log: silentLog },
    onMetric: (metric) => metrics.push(metric),
    ...options
  })
  t.teardown(() => gateway[Symbol.asyncDispose]())

  /** A job with this hold, at work. */
  const job = async ({
    held = 10,
    funds = 100,
    maxCredits = null as number | null,
    model = OPENAI,
    agentSessionId = 'ses_root',
    project = projectId.create(),
    ready = Promise.resolve(),
    token = gateway.tokenFor(project)
  } = {}) => {
    const user = userId.create()
    const holdId = jobId.create()
    await ledger.openWallet(db, user)
    await ledger.grant(db, {
      ...{ id: transactionId.create(), userId: user, amount: credits(funds), memo: {} }
    })
    await ledger.hold(db, { holdId, userId: user, amount: credits(held), memo: {} })
    let exhausted = 0
    const waits: number[] = []
    const purse = createPurse({
      ...{ db, ledger, requests, holdId, stepCredits: credits(1) },
      maxCredits: maxCredits === null ? null : credits(maxCredits),
      onSpent: () => {},
      onHeld: async () => {}
    })
    const binding = gateway.bind(project, {
      ...{
        purse,
        model,
        agentSessionId,
        ready,
        onExhausted: () => (exhausted += 1),
        onRateLimited: (ms) => waits.push(ms)
      }
    })
    turnTokens.set(token, binding.turnToken)
    return {
      ...{ project, holdId, user, purse, token, turnToken: binding.turnToken },
      waits,
      exhausted: () => exhausted,
      end: () => binding[Symbol.asyncDispose](),
      held: async () => (await ledger.findHold(db, holdId))?.held,
      rows: (): Promise<ModelRequest[]> => requests.requestsOf(db, holdId),
      /** Rows as soon as all of them are closed. */
      async closed(): Promise<ModelRequest[]> {
        for (;;) {
          const rows = await requests.requestsOf(db, holdId)
          if (rows.length > 0 && rows.every(({ state }) => state !== 'sent')) return rows
          await new Promise((resolve) => setTimeout(resolve, 5))
        }
      }
    }
  }
  return { db, ledger, requests, prices, model, metrics, gateway, job }
}

/** What Kilo would send, in the form of either provider. */
export function bodyOf(steps: readonly Step[], more: object = {}, words = '') {
  const content = `${words}${script(...steps)}`
  return {
    model: 'scripted',
    stream: true,
    max_tokens: 500,
    messages: [{ role: 'user', content }],
    ...more
  }
}

export function turnHeader(token: string | undefined): Record<string, string> {
  const turnToken = token === undefined ? undefined : turnTokens.get(token)
  return turnToken === undefined ? {} : { 'x-kilowatt-turn': turnToken }
}

export interface Got {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly text: string
  /** The connection broke before the answer was whole. */
  readonly broken: boolean
}

/** Asks like an agent, and answers what came back, whole or not; `leaveAfter` hangs up after so many bytes. */
export function ask(
  url: string,
  token: string | undefined,
  body: unknown,
  { headers = {}, leaveAfter }: { headers?: Record<string, string>; leaveAfter?: number } = {}
): Promise<Got> {
  return new Promise((resolve) => {
    const sent = httpRequest(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'x-session-id': 'ses_root',
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...turnHeader(token ?? headers['x-api-key']),
        ...headers
      }
    })
    sent.on('error', () => resolve({ status: 0, headers: {}, text: '', broken: true }))
    sent.on('response', (response) => {
      let text = ''
      const got = (broken: boolean) =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, broken })
      response.on('data', (chunk: Buffer) => {
        text += chunk.toString()
        if (leaveAfter !== undefined && text.length >= leaveAfter) {
          sent.destroy()
          got(true)
        }
      })
      response.on('end', () => got(!response.complete))
      response.on('error', () => got(true))
    })
    sent.end(typeof body === 'string' ? body : JSON.stringify(body))
  })
}
