import { randomUUID } from 'node:crypto'
import { linkSync, rmSync, statSync, writeFileSync } from 'node:fs'

/** Nobody is so long between two calls: a claim that is older was left by one that died there. */
const CLAIM_STALE_MS = 10_000

/** Takes a lock, whose file appears with its owner's name in it or not at all; false when somebody has it. */
export function takeLockFile(path: string, owner: string): boolean {
  const draft = `${path}.${randomUUID()}`
  writeFileSync(draft, owner, { mode: 0o600 })
  try {
    linkSync(draft, path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    rmSync(draft, { force: true })
  }
}

/**
 * Removes a lock if it is stale. Of all that find it so, one holds it by a second name, looks again at just that
 * file, and removes no other: without this the lock of whoever took it meanwhile would be removed.
 */
export function clearStaleLock(
  path: string,
  isStale: (path: string) => boolean,
  nowMs = Date.now()
): void {
  const claim = `${path}.stale`
  try {
    linkSync(path, claim)
  } catch {
    // It is gone already, or somebody else is looking at it.
    const since = statSync(claim, { throwIfNoEntry: false })?.ctimeMs ?? Infinity
    if (nowMs - since > CLAIM_STALE_MS) rmSync(claim, { force: true })
    return
  }
  try {
    if (isStale(claim)) rmSync(path, { force: true })
  } finally {
    rmSync(claim, { force: true })
  }
}
