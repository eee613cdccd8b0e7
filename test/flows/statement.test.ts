import t from 'tap'
import { script } from '#fixtures'
import { givenProject, startProduct } from '../helpers/product.ts'

interface Line {
  readonly kind: string
  readonly title: string
  readonly detail: string | null
  readonly amount: number
  readonly jobId: string | null
  readonly usage: { readonly input: number; readonly output: number } | null
}

const MODEL = 'openai-compatible/scripted'

/** From an estimate to the lines of the statement, with a real agent in between. */
t.test('what a person reads of two jobs, one that is paid for and one refunded', async (t) => {
  const { user } = await startProduct(t)
  const client = await user(100)
  const project = await givenProject(client)
  const estimate = (more: object = {}) =>
    client.call('POST', `/projects/${project.id}/ai-command?dryRun=true`, { text: 'hi', ...more })
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
})
