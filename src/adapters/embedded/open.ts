import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '#kernel/clock.ts'
import type { Log } from '#kernel/log.ts'

import type { Backbone } from '#ports/backbone.ts'
import { expireAllLeaseRows } from '../lease-store.ts'
import { createEmbeddedBus } from './bus.ts'
import { lockDataDir } from './data-lock.ts'
import { openEmbeddedDatabase } from './database.ts'
import { createEmbeddedLock } from './lock.ts'
import { makePrivateFolder, makeTreePrivate } from './private-folder.ts'
import { createEmbeddedQueue } from './queue.ts'
import { startAutovacuum } from './autovacuum.ts'
import { keepSpareWal } from './spare-wal.ts'
import { createWriteGate } from './write-gate.ts'

/** The backbone within this process: PGlite in `dataDir`, everything else in memory. */
export async function openEmbedded(options: {
  readonly dataDir: string
  readonly queueWidth: number
  readonly clock: Clock
  readonly log: Log
}): Promise<Backbone> {
  await using opening = new AsyncDisposableStack()

  await openDataDir(options.dataDir)
  opening.use(await lockDataDir(options.dataDir))
  const folder = join(options.dataDir, 'db')
  const database = await openEmbeddedDatabase(folder)
  opening.defer(() => database.destroy())
  const spareWal = opening.use(keepSpareWal(database, folder, options.log))
  const db = database.withPlugin(createWriteGate(() => spareWal.isExhausted))
  // PGlite creates a new database with files that everybody may read and write.
  makeTreePrivate(folder)
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

/** What a data folder of ours, or the root of a new volume, may hold when the server starts. */
const OURS = new Set(['db', 'db.new', 'lock', 'projects', 'agents', 'admin-key', 'lost+found'])

/** Closes the data folder to other users. A folder with files of others is refused before anything of it changes. */
async function openDataDir(dataDir: string): Promise<void> {
  const problem = (reason: string, cause?: unknown) =>
    new Error(`DATA_DIR ${dataDir} ${reason}`, { cause })
  const names = (await readdir(dataDir).catch(() => [])).filter((name) => !name.startsWith('.'))
  if (names.length > 0 && !names.some((name) => OURS.has(name)))
    throw problem('holds files that are not of this server: give an empty folder')
  await makePrivateFolder(dataDir).catch((error: Error) => {
    throw problem(`cannot be written: ${error.message}`, error)
  })
}
