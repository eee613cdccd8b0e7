import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '#kernel/clock.ts'
import type { Log } from '#kernel/log.ts'
import type { Backbone } from '#ports/backbone.ts'
import { expireAllLeaseRows } from '../lease-store.ts'
import { createEmbeddedBus } from './bus.ts'
import { lockDataDir } from './data-lock.ts'
import { openEmbeddedDatabase } from './database.ts'
import { createEmbeddedLock } from './lock.ts'
import { createEmbeddedQueue } from './queue.ts'
import { startAutovacuum } from './autovacuum.ts'

/** The backbone within this process: PGlite in `dataDir`, everything else in memory. */
export async function openEmbedded(options: {
  readonly dataDir: string
  readonly queueWidth: number
  readonly clock: Clock
  readonly log: Log
}): Promise<Backbone> {
  await using opening = new AsyncDisposableStack()

  await mkdir(options.dataDir, { recursive: true }).catch((err: Error) => {
    throw new Error(`DATA_DIR ${options.dataDir} cannot be written: ${err.message}`, { cause: err })
  })
  opening.use(await lockDataDir(options.dataDir))
  const db = await openEmbeddedDatabase(join(options.dataDir, 'db'))
  opening.defer(() => db.destroy())
  // This process owns the folder, so every holder of a lease is dead.
  await expireAllLeaseRows(db)
  opening.use(startAutovacuum(db, options.log))
  const queue = opening.use(createEmbeddedQueue(options.queueWidth))

  const opened = opening.move()
  return {
    db,
    queue,
    bus: createEmbeddedBus(),
    lock: createEmbeddedLock(db, options.clock),
    database: 'pglite',
    coordination: 'in-process',
    [Symbol.asyncDispose]: () => opened.disposeAsync()
  }
}
