import { PGlite } from '@electric-sql/pglite'
import { Kysely, PGliteDialect } from 'kysely'
import { Agent, request } from 'undici'
import { createLedger, createPurse, createRequestMeter, readPriceList } from '#billing'
import { migrate, type Db } from '#db'
import { script, startScriptedModel } from '#fixtures'
import { openGateway } from '#gateway'
import { systemClock } from '#kernel/clock.ts'
import { jobId, projectId, transactionId, userId } from '#kernel/ids.ts'
import { silentLog } from '#kernel/log.ts'
import { credits } from '#kernel/money.ts'
import { median, ratio, sideBySide } from './measure.ts'

const ROUNDS = Number(process.env['BENCH_GATEWAY_ROUNDS'] ?? 60)
const CHUNKS = 400
/** About what Kilo sends for a first prompt. */
const PROMPT_CHARS = 34_000
const MODEL = 'openai-compatible/scripted'

/**
 * The same request to a model directly and through the gateway, in turn: to the first byte of the answer, and to the
 * end of one of many pieces. The gateway's side has everything: token, books in PGlite, a row a request.
 */
export async function benchGateway(print: (line: string) => void): Promise<void> {
  await using closing = new AsyncDisposableStack()
  const model = closing.use(await startScriptedModel())
  const { url, token, turnToken } = await givenGateway(closing, model.url)
  const dispatcher = new Agent()
  closing.defer(() => dispatcher.close())

  const timesOf = async (address: string, content: string) => {
    const body = JSON.stringify({
      model: 'scripted',
      stream: true,
      max_tokens: 1000,
      stream_options: { include_usage: true },
      messages: [
        { role: 'system', content: 'a '.repeat(PROMPT_CHARS / 2) },
        { role: 'user', content }
      ]
    })
    const headers = {
      'content-type': 'application/json',
      authorization: `Bearer ${token}`,
      'x-session-id': 'ses_bench',
      'x-kilowatt-turn': turnToken
    }
    const startedAt = performance.now()
    const answer = await request(address, { method: 'POST', headers, body, dispatcher })
    let firstMs = 0
    for await (const _chunk of answer.body) firstMs ||= performance.now() - startedAt
    return { firstMs, wholeMs: performance.now() - startedAt }
  }
  const direct = `${model.url}/chat/completions`
  const compare = (content: string, what: 'firstMs' | 'wholeMs') =>
    sideBySide(
      {
        gateway: async () => (await timesOf(url, content))[what],
        direct: async () => (await timesOf(direct, content))[what]
      },
      ROUNDS
    )

  const first = await compare(script({ say: 'Hello.' }), 'firstMs')
  const long = script({ say: 'word '.repeat(CHUNKS), chunks: CHUNKS })
  const whole = await compare(long, 'wholeMs')
  const ms = (taken: number[]) => `${median(taken).toFixed(2)} ms`
  const addedMs = (a: number[], b: number[]) => median(a.map((one, round) => one - b[round]!))

  print('a model request through the gateway')
  print(`  first byte, direct                  ${ms(first.direct)}`)
  print(`  first byte, through the gateway     ${ms(first.gateway)}`)
  print(
    `  added                               ${addedMs(first.gateway, first.direct).toFixed(2)} ms`
  )
  print(`  gateway / direct                    ${ratio(first.gateway, first.direct).toFixed(2)} ×`)
  const perChunkUs = (addedMs(whole.gateway, whole.direct) / CHUNKS) * 1000
  print(
    `  ${CHUNKS} pieces without a pause, gateway / direct  ${ratio(whole.gateway, whole.direct).toFixed(2)} ×`
  )
  print(`  added a piece                       ${perChunkUs.toFixed(1)} µs`)
}

async function givenGateway(closing: AsyncDisposableStack, baseUrl: string) {
  const db: Db = new Kysely({ dialect: new PGliteDialect({ pglite: await PGlite.create() }) })
  closing.defer(() => db.destroy())
  await migrate(db)
  const [ledger, requests, prices] = [createLedger(), createRequestMeter(), await readPriceList()]
  const [user, project, holdId] = [userId.create(), projectId.create(), jobId.create()]
  await ledger.openWallet(db, user)
  await ledger.grant(db, {
    ...{ id: transactionId.create(), userId: user, amount: credits(1_000_000), memo: {} }
  })
  await ledger.hold(db, { holdId, userId: user, amount: credits(500_000), memo: {} })

  const gateway = closing.use(
    await openGateway({
      providers: [{ id: 'openai-compatible', baseUrl, apiKey: 'bench' }],
      ...{ prices, clock: systemClock, log: silentLog }
    })
  )
  const purse = createPurse({
    ...{ db, ledger, requests, holdId, maxCredits: null, stepCredits: credits(1) },
    onSpent: () => {},
    onHeld: async () => {}
  })
  const account = {
    purse,
    model: MODEL,
    agentSessionId: 'ses_bench',
    ready: Promise.resolve(),
    onExhausted: () => {},
    onRateLimited: () => {}
  }
  const { turnToken } = closing.use(gateway.bind(project, account))
  const url = `${gateway.addressOf('openai-compatible')}/chat/completions`
  return { url, turnToken, token: gateway.tokenFor(project) }
}
