import type { KiloPayload } from './schemas.ts'

/** The sessions of one turn: the root's and those of its sub-agents, however late we learn whose they are. */
export interface SessionTree {
  readonly members: ReadonlySet<string>
  /** Answers what had been heard of the sessions that belong to the turn from now on, in order. */
  learn(sessionId: string, parentId: string): KiloPayload[]
  /** Keeps what was heard of a session that may turn out to be one of ours. */
  keep(sessionId: string, payload: KiloPayload): void
}

/** What strangers say is kept for as long as there is room; they are few, and seldom ours. */
const KEPT_MAX = 500

export function createSessionTree(root: string): SessionTree {
  const members = new Set([root])
  const parents = new Map<string, string>()
  let kept: { readonly sessionId: string; readonly payload: KiloPayload }[] = []

  const isOurs = (sessionId: string) => {
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
      if (!isOurs(sessionId)) return []
      // A child may have been heard of before its parent was.
      for (const known of parents.keys()) if (isOurs(known)) members.add(known)
      const ours = kept.filter((one) => members.has(one.sessionId))
      kept = kept.filter((one) => !members.has(one.sessionId))
      return ours.map(({ payload }) => payload)
    },
    keep(sessionId, payload) {
      kept.push({ sessionId, payload })
      if (kept.length > KEPT_MAX) kept.shift()
    }
  }
}
