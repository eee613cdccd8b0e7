import type { Clock } from '#kernel/clock.ts'
import type { KeyId, UserId } from '#kernel/ids.ts'

/** A revocation by another server takes effect within this time; one by this server immediately. */
const MAX_AGE_MS = 1000
const ENTRIES_MAX = 10_000

export interface CachedKey {
  readonly id: KeyId
  readonly userId: UserId
  readonly expiresAt: Date | null
  readonly lastUsedAt: Date | null
}

/** Active keys by the hash of their secret, so that not every request of a user reads its key's row. */
export interface KeyCache {
  find(hash: string): CachedKey | undefined
  /** Call it before a row is read: the result stores what was read, unless keys changed meanwhile. */
  beginRead(): (hash: string, key: CachedKey) => void
  /** Keys have changed: call it after the change is committed. */
  clear(): void
}

export function createKeyCache(clock: Pick<Clock, 'now' | 'monotonicMs'>): KeyCache {
  const entries = new Map<string, { readonly key: CachedKey; readonly atMs: number }>()
  let changes = 0

  return {
    find(hash) {
      const entry = entries.get(hash)
      if (!entry) return undefined
      const { key, atMs } = entry
      const isExpired = key.expiresAt !== null && key.expiresAt <= clock.now()
      if (!isExpired && clock.monotonicMs() - atMs < MAX_AGE_MS) return key
      entries.delete(hash)
      return undefined
    },

    beginRead() {
      const begun = { changes, atMs: clock.monotonicMs() }
      return (hash, key) => {
        if (begun.changes !== changes) return
        if (entries.size >= ENTRIES_MAX) entries.clear()
        entries.set(hash, { key, atMs: begun.atMs })
      }
    },

    clear() {
      changes += 1
      entries.clear()
    }
  }
}
