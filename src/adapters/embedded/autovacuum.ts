import type { Db } from '#db'
import { LIMITS } from '#kernel/limits.ts'
import type { Log } from '#kernel/log.ts'
import { vacuumDueTables } from './autovacuum-store.ts'

/** Vacuums the embedded database periodically: PGlite has no background workers. */
export function startAutovacuum(db: Db, log: Log): AsyncDisposable {
  let running: Promise<void> = Promise.resolve()
  const vacuum = () => {
    running = vacuumDueTables(db).then(
      (tables) => {
        if (tables.length > 0) log.debug({ tables }, 'database vacuumed')
      },
      (err: unknown) => log.warn({ err }, 'failed to vacuum database')
    )
  }
  const timer = setInterval(vacuum, LIMITS.autovacuumEveryMs)
  timer.unref()

  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      await running
    }
  }
}
