import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe, tracingChannel, unsubscribe } from 'node:diagnostics_channel'

/** What must not run inside of a database transaction, by the channel that reports it. */
const SLOW = {
  'kilowatt:git': (message: unknown) => `git ${(message as { args: string[] }).args.join(' ')}`,
  'undici:request:create': (message: unknown) => {
    const { request } = message as { request: { method: string; origin: string; path: string } }
    return `fetch ${request.method} ${request.origin}${request.path}`
  }
}

/**
 * Reports each git command and each HTTP request that this process starts inside of a database transaction. Without
 * a function of its own a report is an uncaught exception, which fails the test that runs.
 */
export function watchTransactions(
  onSlow: (work: string) => void = (work) => {
    throw new Error(`inside of a database transaction: ${work}`)
  }
): Disposable {
  const inside = new AsyncLocalStorage<boolean>()
  const { start } = tracingChannel('kilowatt:transaction')
  start.bindStore(inside, () => true)
  const listeners = Object.entries(SLOW).map(([name, describe]) => {
    const listener = (message: unknown) => {
      if (inside.getStore()) onSlow(describe(message))
    }
    subscribe(name, listener)
    return () => unsubscribe(name, listener)
  })
  return {
    [Symbol.dispose]() {
      start.unbindStore(inside)
      listeners.forEach((stop) => stop())
    }
  }
}
