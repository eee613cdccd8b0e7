import type { Db } from '#db'
import { LIMITS } from '#kernel/limits.ts'
import type { Log } from '#kernel/log.ts'
import { vacuumWornTables } from './upkeep-store.ts'

/** Looks after the embedded database from time to time: nobody else does, for PGlite runs no background workers. */
export function startUpkeep(db: Db, log: Log): AsyncDisposable {
  let looking: Promise<void> = Promise.resolve()
  const look = () => {
    looking = vacuumWornTables(db).then(
      (tables) => {
        if (tables.length > 0) log.debug({ tables }, 'database looked after')
      },
      (err: unknown) => log.warn({ err }, 'database could not be looked after')
    )
  }
  const timer = setInterval(look, LIMITS.upkeepEveryMs)
  timer.unref()

  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      await looking
    }
  }
}
