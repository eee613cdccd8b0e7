import { link, open, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { sql } from 'kysely'
import type { Db } from '#db'
import type { Log } from '#kernel/log.ts'

const SEGMENT_BYTES = 16 * 1024 * 1024
const CHUNK = Buffer.alloc(1024 * 1024)
/** With less of the current segment left, and no next one, nothing more is written. */
const LEFT_BYTES_MIN = 8 * 1024 * 1024
const EVERY_MS = 1000

export interface SpareWal extends AsyncDisposable {
  /** The write-ahead log has no room left, and the disk has none for it. */
  readonly isExhausted: boolean
}

/**
 * Keeps one segment of the write-ahead log ready ahead of the current one. PostgreSQL panics when the disk has no room for
 * the next segment, and a panic of PGlite is an endless loop that holds up the whole process. With the spare segment what
 * has to be written on a full disk (leases, the end of jobs) can be; before that is used up, `isExhausted` stops writing.
 */
export function keepSpareWal(db: Db, folder: string, log: Log): SpareWal {
  let isExhausted = false
  let running: Promise<void> | undefined
  let spareOf: string | undefined

  const look = async () => {
    const { current, used } = await readPosition(db)
    if (spareOf === current) return
    const error = await createSegment(join(folder, 'pg_wal'), nextSegment(current))
    if (error === undefined) spareOf = current
    const wasExhausted = isExhausted
    isExhausted = error !== undefined && SEGMENT_BYTES - used < LEFT_BYTES_MIN
    if (isExhausted && !wasExhausted) log.error({ err: error }, 'write-ahead log has no room left')
  }
  const tick = () => {
    running ??= look()
      .catch((err: unknown) => log.warn({ err }, 'failed to look after the write-ahead log'))
      .finally(() => (running = undefined))
  }
  const timer = setInterval(() => tick(), EVERY_MS)
  timer.unref()

  return {
    get isExhausted() {
      return isExhausted
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      await running
    }
  }
}

/** The current segment's name, and how many bytes of it are used. */
async function readPosition(db: Db): Promise<{ current: string; used: number }> {
  const position = sql<string>`pg_current_wal_insert_lsn()`
  return db
    .selectNoFrom([
      sql<string>`pg_walfile_name(${position})`.as('current'),
      sql<number>`((${position} - '0/0') % ${SEGMENT_BYTES})::int`.as('used')
    ])
    .executeTakeFirstOrThrow()
}

/** A name is the timeline, and the number of the segment in two parts, the second of which counts to 255. */
export function nextSegment(name: string): string {
  const number = BigInt(`0x${name.slice(8, 16)}`) * 256n + BigInt(`0x${name.slice(16)}`) + 1n
  const part = (value: bigint) => value.toString(16).toUpperCase().padStart(8, '0')
  return name.slice(0, 8) + part(number / 256n) + part(number % 256n)
}

/** Creates a segment of zeros, as PostgreSQL does. The error where the disk has no room for it; one that exists is kept. */
async function createSegment(folder: string, name: string): Promise<unknown> {
  const draft = join(folder, 'spare.draft')
  try {
    // An attempt that fails half-way takes the last bytes from those who could use them.
    const { bavail, bsize } = await statfs(folder)
    if (bavail * bsize < 2 * SEGMENT_BYTES) return new Error('ENOSPC: too little is free')
    const file = await open(draft, 'w', 0o600)
    try {
      for (let written = 0; written < SEGMENT_BYTES; written += CHUNK.length)
        await file.write(CHUNK)
    } finally {
      await file.close()
    }
    // Never replaces a segment that PostgreSQL has created meanwhile.
    await link(draft, join(folder, name)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
    return undefined
  } catch (error) {
    return error
  } finally {
    await rm(draft, { force: true })
  }
}
