import { createHash, randomUUID } from 'node:crypto'
import { readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import { Kysely, PGliteDialect } from 'kysely'
import { migrate, type Db } from '#db'
import { openPglite } from '../../src/adapters/embedded/database.ts'

const MIGRATIONS = join(import.meta.dirname, '../../src/db/migrations')

let dump: Promise<Blob> | undefined

/**
 * A database of one's own, up to date and empty, gone at the end of the test. Migrating takes seconds and copying
 * takes a fraction of one, so it is migrated once for a state of the migrations and copied from then on.
 */
export async function openTestDatabase(t: {
  teardown(close: () => Promise<void>): void
}): Promise<Db> {
  dump ??= loadOrMakeDump()
  const db = await openPglite({ dump: await dump })
  t.teardown(() => db.destroy())
  return db
}

async function loadOrMakeDump(): Promise<Blob> {
  const path = join(tmpdir(), `kilowatt-test-${await stateOfMigrations()}.tar`)
  try {
    return new Blob([await readFile(path)])
  } catch {
    const made = await makeDump()
    // Beside its place first: another test process may be reading there.
    const draft = `${path}.${randomUUID()}`
    await writeFile(draft, Buffer.from(await made.arrayBuffer()))
    await rename(draft, path)
    return made
  }
}

async function makeDump(): Promise<Blob> {
  const pglite = await PGlite.create()
  const db: Db = new Kysely({ dialect: new PGliteDialect({ pglite }) })
  await migrate(db)
  const made = await pglite.dumpDataDir('none')
  await db.destroy()
  return made
}

async function stateOfMigrations(): Promise<string> {
  const hash = createHash('sha256')
  for (const file of (await readdir(MIGRATIONS)).sort())
    hash.update(file).update(await readFile(join(MIGRATIONS, file)))
  return hash.digest('hex').slice(0, 16)
}
