import type { Db } from '#db'
import type { Bus } from './bus.ts'
import type { ProjectLock } from './lock.ts'
import type { Queue } from './queue.ts'

/** The ground that the product stands on: embedded in this process, or spread over machines. */
export interface Backbone extends AsyncDisposable {
  readonly db: Db
  readonly bus: Bus
  readonly lock: ProjectLock
  readonly queue: Queue
  /** What `/health` says of it. */
  readonly database: 'pglite' | 'postgres'
  readonly coordination: 'in-process' | 'redis'
}
