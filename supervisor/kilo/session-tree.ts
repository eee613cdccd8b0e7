import type { KiloPayload } from './schemas.ts'

/** The sessions of one turn: the root's and those of its sub-agents, however late their parent becomes known. */
export interface SessionTree {
  readonly members: ReadonlySet<string>
  /** Returns the kept events of the sessions that belong to the turn from now on, in order. */
  learn(sessionId: string, parentId: string): KiloPayload[]
  /** Keeps an event of a session that may turn out to belong to the turn. */
  keep(sessionId: string, payload: KiloPayload): void
}

/** Kept events of other sessions; the oldest is dropped first. */
const KEPT_MAX = 500

export function createSessionTree(root: string): SessionTree {
  const members = new Set([root])
  const parents = new Map<string, string>()
  let kept: { readonly sessionId: string; readonly payload: KiloPayload }[] = []

  const isInTree = (sessionId: string) => {
    const seen = new Set<string>()
    let at: string | undefined = sessionId
    while (at !== undefined && !members.has(at)) {
      if (seen.has(at)) return false
      seen.add(at)
      at = parents.get(at)
    }
    return at !== undefined
  }

  return {
    members,
    learn(sessionId, parentId) {
      if (members.has(sessionId)) return []
      parents.set(sessionId, parentId)
      if (!isInTree(sessionId)) return []
      // A child may have become known before its parent.
      for (const known of parents.keys()) if (isInTree(known)) members.add(known)
      const found = kept.filter((one) => members.has(one.sessionId))
      kept = kept.filter((one) => !members.has(one.sessionId))
      return found.map(({ payload }) => payload)
    },
    keep(sessionId, payload) {
      kept.push({ sessionId, payload })
      if (kept.length > KEPT_MAX) kept.shift()
    }
  }
}
