import t from 'tap'
import { keyId, userId } from '#kernel/ids.ts'
import { createAccounts } from '#accounts'
import { createKeyCache, type CachedKey } from '../../../src/accounts/key-cache.ts'
import { openTestDatabase } from '../../helpers/database.ts'

function givenCache() {
  let ms = 0
  const clock = { now: () => new Date(ms), monotonicMs: () => ms }
  const cache = createKeyCache(clock)
  const key: CachedKey = {
    id: keyId.create(),
    userId: userId.create(),
    expiresAt: null,
    lastUsedAt: null
  }
  return { cache, key, advance: (by: number) => (ms += by) }
}

t.test(
  'a cached key is forgotten after a second, at its expiry, and when keys change',
  async (t) => {
    const { cache, key, advance } = givenCache()
    cache.beginRead()('a', key)
    t.equal(cache.find('a'), key)
    t.equal(cache.find('b'), undefined)
    advance(999)
    t.equal(cache.find('a'), key)
    advance(1)
    t.equal(cache.find('a'), undefined)

    cache.beginRead()('a', { ...key, expiresAt: new Date(1500) })
    advance(499)
    t.ok(cache.find('a'))
    advance(1)
    t.equal(cache.find('a'), undefined, 'expired')

    cache.beginRead()('a', key)
    cache.clear()
    t.equal(cache.find('a'), undefined)
  }
)

t.test('a key that is revoked while its row is being read is not cached', async (t) => {
  const { cache, key } = givenCache()
  const store = cache.beginRead()
  cache.clear()
  store('a', key)
  t.equal(cache.find('a'), undefined)
})

t.test('a revoked or replaced key is refused immediately, although it was cached', async (t) => {
  const db = await openTestDatabase(t)
  const accounts = createAccounts()
  const { id, apiKey } = await accounts.create(db)
  const holder = await accounts.holderOfKey(db, apiKey)
  const next = await accounts.createKey(db, id, { replaces: holder!.keyId })
  t.equal(await accounts.holderOfKey(db, apiKey), undefined)
  t.ok(await accounts.holderOfKey(db, next.apiKey))
  await accounts.revoke(db, id, next.id)
  t.equal(await accounts.holderOfKey(db, next.apiKey), undefined)
})
