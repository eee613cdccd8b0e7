import type { Db } from '#db'
import { LIMITS } from '#kernel/limits.ts'
import type { Log } from '#kernel/log.ts'
import { vacuumDueTables } from './autovacuum-store.ts'

/** Looks after the embedded database from time to time: nobody else does, for PGlite runs no background workers. */
export function startAutovacuum(db: Db, log: Log): AsyncDisposable {
  let looking: Promise<void> = Promise.resolve()
  const look = () => {
    looking = vacuumDueTables(db).then(
      (tables) => {
        if (tables.length > 0) log.debug({ tables }, 'database vacuumed')
      },
      (err: unknown) => log.warn({ err }, 'database could not be vacuumed')
    )
  }
  const timer = setInterval(look, LIMITS.autovacuumEveryMs)
  timer.unref()

  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      await looking
    }
  }
}
