import type { Db } from '#db'
import type { Bus } from './bus.ts'
import type { ProjectLock } from './lock.ts'
import type { Queue } from './queue.ts'

/** The infrastructure of the product: embedded in this process, or PostgreSQL and Redis. */
export interface Backbone extends AsyncDisposable {
  readonly db: Db
  readonly bus: Bus
  readonly lock: ProjectLock
  readonly queue: Queue
  /** Reported by `/health`. */
  readonly database: 'pglite' | 'postgres'
  readonly coordination: 'in-process' | 'redis'
}
