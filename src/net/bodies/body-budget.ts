import { createCounts } from '../counts.ts'

export interface BodyBudgetLimits {
  /** Bytes of all bodies that one owner may have in memory. */
  readonly ownerBytesMax: number
  /** Bytes of all bodies in memory. */
  readonly bytesMax: number
}

export type BudgetAnswer = 'taken' | 'owner-full' | 'all-full'

/** The bytes of one request's body. Disposing it gives them back. */
export interface BodyShare extends Disposable {
  /** Raises the share to this many bytes; a smaller number changes nothing. */
  raise(bytes: number): BudgetAnswer
}

export interface BodyBudget {
  open(owner: string): BodyShare
  /** Bytes of all open shares. */
  readonly bytes: number
}

/** Limits the bytes of request bodies in memory, per owner (a user or an agent's token) and in all. */
export function createBodyBudget({ ownerBytesMax, bytesMax }: BodyBudgetLimits): BodyBudget {
  const owners = createCounts()
  let all = 0

  const add = (owner: string, bytes: number) => {
    all += bytes
    owners.add(owner, bytes)
  }

  return {
    get bytes() {
      return all
    },
    open(owner) {
      let mine = 0
      return {
        raise(bytes) {
          const more = bytes - mine
          if (more <= 0) return 'taken'
          if (owners.of(owner) + more > ownerBytesMax) return 'owner-full'
          if (all + more > bytesMax) return 'all-full'
          add(owner, more)
          mine = bytes
          return 'taken'
        },
        [Symbol.dispose]() {
          add(owner, -mine)
          mine = 0
        }
      }
    }
  }
}
