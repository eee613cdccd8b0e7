import { randomBytes } from 'node:crypto'
import type { CallIds } from '../protocols/protocol.ts'

const RANDOM_BYTES = 12

/**
 * The ids of the tool calls of one answer. Some providers give two calls the same id, or a call none: Kilo keeps its calls
 * by id, so that the result of one would be taken for that of the other. Such a call gets an id of ours, which Kilo sends
 * back with the call and with its result, so that they match at the provider as well.
 */
export function createCallIds(): CallIds {
  const taken = new Set<string>()
  const given = new Map<unknown, { readonly sent: unknown; readonly id: string }>()

  return {
    idFor(call, sent) {
      const before = given.get(call)
      // Some providers repeat the id in every piece of a call, and some an empty one.
      if (before) return sent === before.sent ? before.id : sent
      const isUsable = typeof sent === 'string' && sent !== '' && !taken.has(sent)
      const id = isUsable ? sent : `call_${randomBytes(RANDOM_BYTES).toString('hex')}`
      taken.add(id)
      given.set(call, { sent, id })
      return id
    }
  }
}
