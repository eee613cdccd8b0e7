import t from 'tap'
import { script } from '#fixtures'
import { crash, processesOf } from '../helpers/processes.ts'
import { givenProject, seen, startProduct, type Client } from '../helpers/product.ts'

interface Line {
  readonly kind: string
  readonly title: string
  readonly detail: string | null
  readonly amount: number
  readonly jobId: string | null
  readonly usage: { readonly input: number; readonly output: number } | null
}

interface Wallet {
  balance: number
  reserved: number
  spent: number
}
/** The sum of two amounts of credits, each with six decimals. */
const sumOf = (a: number, b: number) => Math.round((a + b) * 1e6) / 1e6
const walletOf = async (client: Client) => (await client.call<Wallet>('GET', '/wallet')).body

const MODEL = 'openai-compatible/scripted'
const SILENCE_MS_MAX = 3000

/** How a provider, a person or an empty wallet ends a job, and who pays for it. */
t.test('jobs that do not end well', async (t) => {
  const { admin, user } = await startProduct(t, {
    env: { GOODWILL_CREDITS_PER_DAY: '20' },
    tuning: {
      agents: { modelTimeouts: { headerMs: SILENCE_MS_MAX }, modelRetriesMax: 1 },
      gateway: { times: { silenceMs: SILENCE_MS_MAX } }
    }
  })

  const client = await user(100)
  const project = await givenProject(client)

  await t.test(
    'what a person reads of two jobs, one that is paid for and one refunded',
    async (t) => {
      const estimate = (more: object = {}) =>
        client.call('POST', `/projects/${project.id}/ai-command?dryRun=true`, {
          text: 'hi',
          ...more
        })
      t.match((await estimate()).body, { creditsReserved: 10, likely: null, basedOnJobs: 0 })

      const answer = { say: 'Done.', usage: { input: 2100, output: 60 } }
      const paid = await project.run(`Add a login form\n${script(answer)}`)
      const { credits } = paid.only('job:success')
      const refunded = await project.run(`Break it\n${script({ fail: 401 })}`)
      const { code } = refunded.only('job:error')

      const { body } = await client.call<{ items: Line[] }>('GET', '/wallet/transactions')
      t.match(
        body.items.map(({ title, jobId }) => [title, jobId]),
        [
          [`Refunded: “Break it” failed (${code})`, refunded.jobId],
          ['Reserved for “Break it”', refunded.jobId],
          ['Released: reserved for “Add a login form” and not used', paid.jobId],
          ['Charged for “Add a login form”', paid.jobId],
          ['Reserved for “Add a login form”', paid.jobId],
          ['Credits purchased', null]
        ]
      )
      const charge = body.items.find(({ kind }) => kind === 'charge')
      t.match(charge, {
        amount: credits.charged,
        detail: new RegExp(`^${MODEL}: [\\d,]+ tokens in at \\$3, [\\d,]+ out at \\$15 a million$`),
        job: { prompt: 'Add a login form', mode: 'code', model: MODEL, outcome: 'succeeded' },
        usage: { input: 2100, output: 60 }
      })
      t.equal(charge?.amount, (2100 * 300 + 60 * 1500) / 1e6, 'the tokens at that price')

      const cost = credits.charged
      t.match((await estimate()).body, { likely: { low: cost, high: cost }, basedOnJobs: 1 })
    }
  )

  await t.test('a command may take longer than a provider may be silent', async (t) => {
    const seconds = SILENCE_MS_MAX / 1000 + 1
    const input = { command: `sleep ${seconds}; echo awake`, description: 'a command' }
    const story = await project.run(script({ tool: 'bash', input }, { say: 'Done.' }))
    t.equal(story.last.type, 'job:success', JSON.stringify(story.last.data))
    t.match(story.all('job:tool').at(-1), { status: 'completed', output: /awake/ })
  })

  await t.test('what was done before a failure is kept on the branch, not on main', async (t) => {
    const file = { filePath: '{{worktree}}/half.txt', content: 'half\n' }
    const story = await project.run(script({ tool: 'write', input: file }, { fail: 401 }))
    const { branch } = story.only('job:error')
    t.equal(await project.read('half.txt'), undefined, 'main does not have it')
    const { body } = await client.call<{ files: { path: string }[] }>(
      'GET',
      `/projects/${project.id}/files?at=${encodeURIComponent(branch!)}`
    )
    t.match(body.files, [{ path: 'half.txt' }])
  })

  await t.test('no credits: 402, and nothing is queued', async (t) => {
    const client = await user(0)
    const project = await givenProject(client)
    const refused = await client.call('POST', `/projects/${project.id}/ai-command`, { text: 'hi' })
    t.match(refused, { status: 402, body: { code: 'insufficient_credits', status: 402 } })
    const { body } = await client.call('GET', `/projects/${project.id}/jobs`)
    t.match(body, { items: [], nextCursor: null })
  })

  await t.test('cancelled in the middle of its answer: pays for what was used', async (t) => {
    const endless = { say: 'word '.repeat(200), chunks: 200, chunkMs: 600 }
    const jobId = await project.submit(script(endless))
    await seen(client, jobId, 'job:log')
    const cancelledAt = Date.now()
    t.match(await client.call('POST', `/jobs/${jobId}/cancel`), { status: 202 })
    const story = await project.story(jobId)
    t.ok(Date.now() - cancelledAt < 10_000, 'as is promised, whatever Kilo does')
    t.match(story.only('job:error'), { code: 'cancelled', credits: { reserved: 10 } })
    t.equal((await walletOf(client)).reserved, 0)

    t.match(
      await client.call('POST', `/jobs/${jobId}/cancel`),
      { status: 202 },
      'cancelling is idempotent'
    )
    const again = await client.call<{ jobId: string; sessionId: string }>(
      'POST',
      `/jobs/${jobId}/retry`
    )
    t.equal(again.status, 202)
    t.not(again.body.jobId, jobId)
    await client.call('POST', `/jobs/${again.body.jobId}/cancel`)
    t.match((await project.story(again.body.jobId)).only('job:error'), { code: 'cancelled' })
  })

  await t.test(
    'a job that is cancelled in the queue ends immediately, with a refund',
    async (t) => {
      const first = await project.submit(
        script({ say: 'word '.repeat(20), chunks: 20, chunkMs: 100 })
      )
      const second = await project.submit(script({ say: 'never' }))
      await client.call('POST', `/jobs/${second}/cancel`)
      const story = await project.story(second)
      t.match(story.only('job:error'), { code: 'cancelled', credits: { charged: 0, refunded: 10 } })
      t.equal((await project.story(first)).last.type, 'job:success')
      const { body } = await client.call('GET', `/jobs/${second}`)
      t.match(body, { status: 'cancelled', startedAt: null })
    }
  )

  await t.test('a job that succeeded cannot be retried', async (t) => {
    const { jobId } = await project.run(script({ say: 'ok' }))
    t.match(await client.call('POST', `/jobs/${jobId}/retry`), {
      status: 409,
      body: { code: 'job_not_retryable' }
    })
  })

  await t.test(
    'an agent that crashes is refunded as long as the goodwill budget lasts',
    async (t) => {
      const before = await walletOf(client)
      const input = { filePath: '{{worktree}}/a.txt', content: 'a' }
      const dear = { tool: 'write', input, usage: { input: 20_000, output: 10 } }
      const crashed = async () => {
        const jobId = await project.submit(
          script(dear, { say: 'word '.repeat(200), chunks: 200, chunkMs: 100 })
        )
        await seen(client, jobId, 'job:log')
        for (const { pid, command } of await processesOf(project.id)) {
          if (command.includes('serve')) crash(pid)
        }
        const { body } = await client.call<{ credits: object }>('GET', `/jobs/${jobId}`)
        t.notOk('goodwill' in body.credits, 'no decision while it runs')
        return { jobId, error: (await project.story(jobId)).only('job:error') }
      }
      const first = await crashed()
      t.match(first.error, { code: 'agent_crashed', credits: { charged: 0, goodwill: 'refunded' } })
      t.match(await walletOf(client), before)

      const second = await crashed()
      const { charged } = second.error.credits
      t.match(second.error, { code: 'agent_crashed', credits: { goodwill: 'day_limit' } })
      t.match(
        second.error.message,
        /the usage is charged, because the goodwill refunds of 24 hours/
      )
      t.ok(charged > 10 && charged <= second.error.credits.reserved)
      const [balance, spent] = [sumOf(before.balance, -charged), sumOf(before.spent, charged)]
      t.match(await walletOf(client), { balance, reserved: 0, spent })
      const { body } = await client.call('GET', `/jobs/${second.jobId}`)
      t.match(body, { credits: second.error.credits, error: { message: second.error.message } })
      const { body: statement } = await client.call<{ items: { title: string; jobId: string }[] }>(
        'GET',
        '/wallet/transactions'
      )
      const titles = new Set(
        statement.items.map(({ title }) => title.replaceAll(/“.*”/gs, 'a job'))
      )
      t.ok(
        titles.has(
          'Charged for a job (failed: agent_crashed; goodwill refunds of 24 hours used up)'
        )
      )
      t.ok(titles.has('Refunded: a job failed (agent_crashed)'))

      const { body: metrics } = await admin.call<string>('GET', '/metrics')
      t.match(metrics, 'kilowatt_goodwill_total{decision="refunded"} 1')
      t.match(metrics, 'kilowatt_goodwill_total{decision="day_limit"} 1')
      t.match(metrics, 'kilowatt_ledger_audit{sum="goodwill_mismatch"} 0')
    }
  )

  await t.test('cancelled while its agent is being started', async (t) => {
    // The crash above has left the project without an agent.
    const jobId = await project.submit(script({ say: 'never' }))
    let status = 'queued'
    while (status === 'queued') {
      status = (await client.call<{ status: string }>('GET', `/jobs/${jobId}`)).body.status
    }
    t.equal(status, 'starting')
    await client.call('POST', `/jobs/${jobId}/cancel`)
    const story = await project.story(jobId)
    t.match(story.only('job:error'), { code: 'cancelled', credits: { charged: 0, refunded: 10 } })
    t.same(story.all('job:running'), [], 'it never began')
    t.equal(
      (await project.run(script({ say: 'ok' }))).last.type,
      'job:success',
      'the next one does'
    )
  })

  await t.test('the ledger balances after all of these jobs', async (t) => {
    const { body: metrics } = await admin.call<string>('GET', '/metrics')
    const sums = metrics.split('\n').filter((line) => line.startsWith('kilowatt_ledger_audit{'))
    t.ok(sums.length >= 5)
    for (const sum of sums) t.match(sum, / 0$/)
  })
})
