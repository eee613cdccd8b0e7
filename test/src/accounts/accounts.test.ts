import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import {
  createAccounts,
  isApiKey,
  issueTicket,
  loadOrCreateAdminKey,
  redeemTicket,
  sameKey
} from '#accounts'
import { projectId, userId } from '#kernel/ids.ts'
import { openTestDatabase } from '../../helpers/database.ts'

const noon = new Date('2026-01-01T12:00:00Z')
const after = (ms: number) => new Date(noon.getTime() + ms)

t.test('a user is known by the key, and the key is not kept', async (t) => {
  const db = await openTestDatabase(t)
  const accounts = createAccounts()
  const ada = await accounts.create(db, { name: 'Ada' })
  const bob = await accounts.create(db)

  t.ok(userId.is(ada.id))
  t.match(ada.apiKey, /^kw_[A-Za-z0-9_-]{43}$/)
  t.not(ada.apiKey, bob.apiKey)
  t.match(await accounts.holderOfKey(db, ada.apiKey), { userId: ada.id })
  t.match(await accounts.holderOfKey(db, bob.apiKey), { userId: bob.id })

  const users = await db.selectFrom('users').select(['id', 'name']).orderBy('id').execute()
  t.same(users, [
    { id: ada.id, name: 'Ada' },
    { id: bob.id, name: null }
  ])
  const keys = await db.selectFrom('api_keys').selectAll().execute()
  t.match(keys, [{ hash: /^[0-9a-f]{64}$/ }, { hash: /^[0-9a-f]{64}$/ }])
  t.notOk(JSON.stringify(keys).includes(ada.apiKey.slice(3)))
})

t.test('rejects unknown keys', async (t) => {
  const db = await openTestDatabase(t)
  const accounts = createAccounts()
  const { apiKey } = await accounts.create(db)
  const [{ hash } = { hash: '' }] = await db.selectFrom('api_keys').select('hash').execute()
  for (const key of [
    '',
    'kw_',
    hash,
    `kw_${'A'.repeat(43)}`,
    `${apiKey} `,
    ` ${apiKey}`,
    apiKey.toLowerCase().replace('kw_', 'KW_'),
    apiKey.slice(0, -1),
    `${apiKey}\n`,
    `kw_' OR '1'='1`
  ]) {
    t.equal(await accounts.holderOfKey(db, key), undefined, JSON.stringify(key))
  }
  t.notOk(isApiKey(`${apiKey}\n`))
})

t.test("a user comes and goes with the caller's transaction", async (t) => {
  const db = await openTestDatabase(t)
  const undone = db.transaction().execute(async (tx) => {
    await createAccounts().create(tx)
    throw new Error('undone')
  })
  await t.rejects(undone, { message: 'undone' })
  t.same(await db.selectFrom('users').selectAll().execute(), [])
})

t.test('keys are compared whole', async (t) => {
  t.ok(sameKey('kw_a', 'kw_a'))
  for (const other of ['', 'kw_', 'kw_A', 'kw_aa', 'kw_a ']) t.notOk(sameKey('kw_a', other), other)
  t.ok(sameKey('', ''))
})

t.test("the operator's key: made once, kept for its owner only, or given", async (t) => {
  const dir = join(t.testdir(), 'data')
  const first = await loadOrCreateAdminKey(dir)
  t.equal(first.path, join(dir, 'admin-key'))
  t.ok(isApiKey(first.key))
  t.same(await loadOrCreateAdminKey(dir), { ...first, isNew: false }, 'the next start finds it')
  t.equal((await stat(join(dir, 'admin-key'))).mode & 0o777, 0o600)
  t.equal(await readFile(join(dir, 'admin-key'), 'utf8'), `${first.key}\n`)
  t.same(await readdir(dir), ['admin-key'], 'no drafts are left')

  t.same(await loadOrCreateAdminKey(dir, 'given'), { key: 'given', path: null, isNew: false })
  await writeFile(join(dir, 'admin-key'), '')
  await t.rejects(loadOrCreateAdminKey(dir), { message: /admin-key is empty/ })
})

t.test('servers that start simultaneously agree on a key', async (t) => {
  const dir = t.testdir()
  const keys = await Promise.all(Array.from({ length: 20 }, () => loadOrCreateAdminKey(dir)))
  t.equal(new Set(keys.map(({ key }) => key)).size, 1)
  t.same(await readdir(dir), ['admin-key'])
})

t.test('a ticket opens once, in time, for one project', async (t) => {
  const db = await openTestDatabase(t)
  const { id } = await createAccounts().create(db)
  const project = projectId.create()
  await db
    .insertInto('projects')
    .values({ id: project, user_id: id, name: 'p', review: 'merge', deleted_at: null })
    .execute()
  const issue = () => issueTicket(db, { userId: id, projectId: project, keyId: null }, 60_000, noon)

  const { ticket, expiresAt } = await issue()
  t.same(expiresAt, after(60_000))
  t.match(ticket, /^[\w-]{43}$/)
  const kept = await db.selectFrom('ws_tickets').selectAll().execute()
  t.notOk(JSON.stringify(kept).includes(ticket))

  const racers = await Promise.all([1, 2, 3, 4].map(() => redeemTicket(db, ticket, after(59_999))))
  t.same(racers.filter(Boolean), [{ userId: id, projectId: project, keyId: null }])

  const late = await issue()
  t.equal(await redeemTicket(db, late.ticket, after(60_000)), undefined, 'too late')
  t.equal(await redeemTicket(db, late.ticket, noon), undefined, 'and torn')
  for (const guess of ['', 'x', ticket, `${late.ticket} `]) {
    t.equal(await redeemTicket(db, guess, noon), undefined)
  }

  await issue()
  await issueTicket(db, { userId: id, projectId: project, keyId: null }, 60_000, after(60_000))
  t.equal((await db.selectFrom('ws_tickets').select('hash').execute()).length, 1, 'swept')
})
