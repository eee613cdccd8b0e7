import type { KyselyPlugin } from 'kysely'

/** As PostgreSQL reports a full disk. */
class NoRoom extends Error {
  readonly code = '53100'
}

/** Refuses everything but plain reads while writing is not possible. */
export function createWriteGate(isClosed: () => boolean): KyselyPlugin {
  return {
    transformQuery({ node }) {
      if (node.kind !== 'SelectQueryNode' && isClosed()) {
        throw new NoRoom('the write-ahead log has no room left: No space left on device')
      }
      return node
    },
    transformResult: async ({ result }) => result
  }
}
