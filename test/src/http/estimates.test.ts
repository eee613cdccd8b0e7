import t from 'tap'
import type { Db } from '#db'
import { jobId } from '#kernel/ids.ts'
import { LIMITS } from '#kernel/limits.ts'
import { buy, givenDoors, type Person } from './given-doors.ts'

const MODEL = 'anthropic/claude-sonnet-5-5'
const CREDIT = 1_000_000

t.test('a dry run says what would be reserved, and starts nothing', async (t) => {
  const { person, db } = await givenDoors(t)
  const ada = await person(1000)
  const id = await ada.project()
  const before = await everything(db)
  const asked = { text: 'hi', mode: 'coder', maxCredits: 4.5 }

  t.match(await dryRun(ada, id, { text: 'hi' }), {
    status: 200,
    body: {
      creditsReserved: 10,
      likely: null,
      basedOnJobs: 0,
      balance: 1000,
      model: MODEL,
      mode: 'code'
    }
  })
  const { body } = await dryRun(ada, id, asked)
  t.match(body, { creditsReserved: 4.5, mode: 'code' })
  t.same(await everything(db), before, 'not a row has changed')
  t.match((await ada.call('GET', '/wallet')).body, { balance: 1000, reserved: 0 })

  const real = await ada.call('POST', `/projects/${id}/ai-command`, asked)
  t.match(real, { status: 202, body: { creditsReserved: body.creditsReserved } })
  const plain = await ada.call('POST', `/projects/${id}/ai-command?dryRun=false`, asked)
  t.equal(plain.status, 202, 'dryRun=false is the real thing')
  t.equal((await ada.call('POST', `/projects/${id}/ai-command?dryRun=x`, asked)).status, 400)
})

t.test('the likely range is of the last twenty jobs of that mode and model', async (t) => {
  const { person, db } = await givenDoors(t)
  const ada = await person(1000)
  const id = await ada.project()
  const other = await ada.project()
  const costs = [900, 800, ...Array.from({ length: 20 }, (_, i) => i + 1)]
  await finished(db, ada, id, costs)
  await finished(db, ada, id, [500], { mode: 'plan' })
  await finished(db, ada, id, [600], { model: 'anthropic/another' })
  await finished(db, ada, id, [700], { status: 'cancelled' })
  await finished(db, ada, other, [3])

  t.match((await dryRun(ada, id, { text: 'hi' })).body, {
    creditsReserved: 18,
    likely: { low: 2, high: 18 },
    basedOnJobs: 20
  })
  t.match((await dryRun(ada, id, { text: 'hi', maxCredits: 5 })).body, {
    creditsReserved: 5,
    likely: { low: 2, high: 18 }
  })
  t.match((await dryRun(ada, other, { text: 'hi' })).body, {
    creditsReserved: 10,
    likely: { low: 3, high: 3 },
    basedOnJobs: 1
  })
  const real = await ada.call('POST', `/projects/${id}/ai-command`, { text: 'hi' })
  t.equal(real.body.creditsReserved, 18)
})

t.test('what would be refused is refused in a dry run, word for word', async (t) => {
  const { person } = await givenDoors(t)
  const ada = await person(1000)
  const [poor, almost] = [await person(0), await person(0.5)]
  const [id, poorId] = [await ada.project(), await poor.project()]
  const almostId = await almost.project()
  const session = await ada.call('POST', `/projects/${await ada.project()}/ai-command`, {
    text: 'elsewhere'
  })

  for (const [who, project, body, status] of [
    [poor, poorId, { text: 'hi' }, 402],
    [almost, almostId, { text: 'hi' }, 402],
    [ada, id, { text: 'hi', maxCredits: 0.5 }, 402],
    [poor, id, { text: 'hi' }, 404],
    [ada, 'prj_nothing', { text: 'hi' }, 404],
    [ada, id, { text: 'hi', sessionId: session.body.sessionId }, 404],
    [ada, id, { text: 'hi', mode: 'dance' }, 422],
    [ada, id, { text: 'hi', model: 'a/b' }, 422],
    [ada, id, { text: ' ' }, 400],
    [ada, id, { text: 'hi', maxCredits: 0.0000001 }, 400]
  ] as const) {
    const dry = await dryRun(who, project, body)
    const real = await who.call('POST', `/projects/${project}/ai-command`, body)
    t.equal(dry.status, status, JSON.stringify(body))
    t.same(comparable(dry.body), comparable(real.body))
  }

  for (let n = 0; n < LIMITS.jobsQueuedPerProjectMax; n += 1) {
    await ada.call('POST', `/projects/${id}/ai-command`, { text: 'hi', maxCredits: 1 })
  }
  t.match(await dryRun(ada, id, { text: 'hi' }), { status: 429, body: { code: 'queue_full' } })
})

t.test('a job that cannot pay for its first model request is not accepted', async (t) => {
  const { person } = await givenDoors(t)
  const ada = await person(0.5)
  const id = await ada.project()
  const submit = (body: object) => ada.call('POST', `/projects/${id}/ai-command`, body)
  const { status, body } = await submit({ text: 'hi' })
  t.equal(status, 402)
  t.match(body, { code: 'insufficient_credits', balance: 0.5, creditsNeeded: Number })
  const { creditsNeeded: needed } = body as unknown as { creditsNeeded: number }
  t.ok(needed > 0.5 && needed < 1, String(needed))
  t.match((await submit({ text: 'hi '.repeat(30_000) })).body, { creditsNeeded: /^[5-9]\./ })

  await buy(ada, Number((needed - 0.5 - 0.000001).toFixed(6)))
  t.equal((await submit({ text: 'hi' })).status, 402, 'a microcredit too few')
  await buy(ada, 0.000001)
  t.match(await submit({ text: 'hi', maxCredits: 0.5 }), {
    status: 402,
    body: { creditsNeeded: needed, detail: /maxCredits is too low/ }
  })
  t.match((await ada.call('GET', `/projects/${id}/jobs`)).body, { items: { length: 0 } })
  t.match(await submit({ text: 'hi' }), { status: 202, body: { creditsReserved: needed } })
})

t.test('a dry run leaves its Idempotency-Key to the real one', async (t) => {
  const { person } = await givenDoors(t)
  const ada = await person(1000)
  const id = await ada.project()
  const under = { 'idempotency-key': 'k' }
  t.equal((await dryRun(ada, id, { text: 'hi' }, under)).status, 200)
  const url = `/projects/${id}/ai-command`
  const real = await ada.call('POST', url, { text: 'hi' }, under)
  t.equal(real.status, 202)
  const dry = await dryRun(ada, id, { text: 'other' }, under)
  t.match(dry, { status: 200, body: { balance: 990 } }, 'nor is it answered by it')
  const again = await ada.call('POST', url, { text: 'hi' }, under)
  t.match(again, { status: 202, headers: { 'idempotent-replayed': 'true' }, body: real.body })
})

t.test('shortens a long prompt to its first line, between characters', async (t) => {
  const { person } = await givenDoors(t)
  const ada = await person(1000)
  const id = await ada.project()
  const text = `${'x'.repeat(78)}🌱🌱🌱\nand more`
  const { status } = await ada.call('POST', `/projects/${id}/ai-command`, { text })
  t.equal(status, 202)
  const { body } = await ada.call('GET', '/wallet/transactions?limit=1')
  const prompt = `${'x'.repeat(78)}🌱…`
  t.match(body.items, [
    {
      title: `Reserved for “${prompt}”`,
      job: { prompt, mode: 'code', model: MODEL, outcome: null },
      price: { inputUsd: '2', outputUsd: '10' },
      usage: null
    }
  ])
})

const dryRun = (who: Person, project: string, body: object, headers = {}) =>
  who.call('POST', `/projects/${project}/ai-command?dryRun=true`, body, headers)

/** A refusal without the fields that differ between requests. */
const comparable = (refusal: object) => ({ ...refusal, requestId: '', instance: '' })

/** The number of rows of each table, and the state of the wallets and projects. */
async function everything(db: Db) {
  const tables = ['jobs', 'sessions', 'project_events', 'ledger_transfers'] as const
  const keys = await db.selectFrom('idempotency_keys').select('key').execute()
  const rows = await Promise.all(tables.map((table) => db.selectFrom(table).selectAll().execute()))
  const projects = await db.selectFrom('projects').selectAll().execute()
  return { rows, projects, keys }
}

/** Jobs that came to an end at this cost, oldest first. */
async function finished(
  db: Db,
  who: Person,
  project: string,
  costs: readonly number[],
  more: { mode?: string; model?: string; status?: 'cancelled' } = {}
): Promise<void> {
  const { body } = await who.call('POST', `/projects/${project}/ai-command`, { text: 'first' })
  await who.call('POST', `/jobs/${body.jobId}/cancel`)
  const { position: _, ...like } = await db
    .selectFrom('jobs')
    .selectAll()
    .where('id', '=', body.jobId)
    .executeTakeFirstOrThrow()
  for (const cost of costs) {
    const charged = String(cost * CREDIT)
    await db
      .insertInto('jobs')
      .values({
        ...like,
        usage: null,
        usage_mismatch: null,
        id: jobId.create(),
        status: 'succeeded',
        ...more,
        reserved: charged,
        charged,
        refunded: '0'
      })
      .execute()
  }
}
