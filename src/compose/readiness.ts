import { randomUUID } from 'node:crypto'
import { mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { inTransaction, type Db } from '#db'
import { AppError } from '#kernel/errors.ts'
import { userId } from '#kernel/ids.ts'
import { LIMITS } from '#kernel/limits.ts'
import type { Log } from '#kernel/log.ts'
import { isDiskFull, type DiskSpace } from '#kernel/machine/disk-space.ts'
import { within } from '#kernel/waiting.ts'

interface ReadinessOptions {
  readonly db: Db
  readonly disk: Pick<DiskSpace, 'isFull'>
  /** A file is tried in each. */
  readonly folders: readonly string[]
  readonly log: Log
}

const FILE = Buffer.alloc(4096)

/**
 * Whether the server can work, by trying it: a row is written and rolled back, and a file is written and removed. An
 * answer is used for a second, and concurrent probes share one.
 */
export function createReadiness(options: ReadinessOptions): () => Promise<AppError | undefined> {
  let asked: { readonly atMs: number; readonly answer: Promise<AppError | undefined> } | undefined
  return () => {
    const now = performance.now()
    if (asked === undefined || now - asked.atMs > LIMITS.readyAgeMs) {
      asked = { atMs: now, answer: tryWork(options) }
    }
    return asked.answer
  }
}

async function tryWork({
  db,
  disk,
  folders,
  log
}: ReadinessOptions): Promise<AppError | undefined> {
  const full = new AppError('disk_full', 'The disk of the server is full: retry later')
  if (await disk.isFull()) return full
  const tried = Promise.all([tryRow(db), ...folders.map(tryFile)]).then(() => 'ok' as const)
  try {
    if ((await within(tried, LIMITS.readyMs)) === 'ok') return undefined
    log.error({ afterMs: LIMITS.readyMs }, 'a row and a file could not be written in time')
    return unavailable('did not take a row and a file in time')
  } catch (err) {
    log.error({ err }, 'a row and a file could not be written')
    return isDiskFull(err) ? full : unavailable('cannot be reached')
  }
}

const unavailable = (what: string) =>
  new AppError('database_unavailable', `The database or its folder ${what}: retry later`)

class RolledBack extends Error {}

async function tryRow(db: Db): Promise<void> {
  const tried = inTransaction(db, async (tx) => {
    await tx.insertInto('users').values({ id: userId.create(), name: null }).execute()
    throw new RolledBack('only tried')
  })
  await tried.catch((error: unknown) => {
    if (!(error instanceof RolledBack)) throw error
  })
}

async function tryFile(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  const path = join(folder, `.ready-${randomUUID()}`)
  try {
    await using file = await open(path, 'wx', 0o600)
    await file.write(FILE)
    await file.datasync()
  } finally {
    await rm(path, { force: true })
  }
}
