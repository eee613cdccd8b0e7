import { createHash, randomUUID } from 'node:crypto'
import { cp, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import { openEmbeddedDatabase } from '../../../src/adapters/embedded/database.ts'

const ROOT = join(import.meta.dirname, '../../..')
/** Everything that decides what an empty, migrated database looks like. */
const SOURCES = ['src/db', 'src/adapters/embedded/database.ts']
const PGLITE_PACKAGE = 'node_modules/@electric-sql/pglite/package.json'

let loaded: Promise<Blob> | undefined

/**
 * A dump of an empty, migrated PGlite. Migrating costs seconds and loading a dump costs a fraction of one, so the first
 * test process that needs it makes it, in the temporary folder under a hash of its sources; the others read it there.
 */
export const loadTemplate = (): Promise<Blob> =>
  (loaded ??= cached('dump', makeDump).then(async (path) => new Blob([await readFile(path)])))

/** Gives a server's data folder a migrated database, so that the server does not create one for seconds. */
export async function seedDataDir(dataDir: string): Promise<void> {
  const template = await cached('folder', makeFolder)
  await mkdir(dataDir, { recursive: true })
  await cp(template, join(dataDir, 'db'), { recursive: true })
}

/** Makes a file or folder once for a state of the sources. A rename publishes it whole; the first rename wins. */
async function cached(kind: string, make: (path: string) => Promise<void>): Promise<string> {
  const path = join(tmpdir(), `kilowatt-test-${await hashOfSources()}-${kind}`)
  if (await exists(path)) return path
  const draft = `${path}.${randomUUID()}`
  try {
    await make(draft)
    await rename(draft, path)
  } catch (error) {
    if (!(await exists(path))) throw error
  } finally {
    await rm(draft, { recursive: true, force: true })
  }
  return path
}

async function makeFolder(path: string): Promise<void> {
  await mkdir(path)
  await (await openEmbeddedDatabase(path)).destroy()
}

/** From a copy: two processes that open one database folder block each other for ever. */
async function makeDump(path: string): Promise<void> {
  const copy = `${path}.folder`
  try {
    await cp(await cached('folder', makeFolder), copy, { recursive: true })
    const pglite = await PGlite.create({ dataDir: copy })
    const dump = await pglite.dumpDataDir('none')
    await pglite.close()
    await writeFile(path, Buffer.from(await dump.arrayBuffer()))
  } finally {
    await rm(copy, { recursive: true, force: true })
  }
}

async function hashOfSources(): Promise<string> {
  const hash = createHash('sha256').update(await readFile(join(ROOT, PGLITE_PACKAGE)))
  for (const source of SOURCES) {
    for (const path of await filesBelow(join(ROOT, source))) hash.update(await readFile(path))
  }
  return hash.digest('hex').slice(0, 16)
}

async function filesBelow(path: string): Promise<string[]> {
  if (path.endsWith('.ts')) return [path]
  const entries = await readdir(path, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
}

const exists = (path: string) =>
  readdir(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code === 'ENOTDIR'
  )
