import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { sql } from 'kysely'
import { openDistributedDatabase, openPostgres } from '../src/adapters/distributed/database.ts'
import { loadTemplate } from './helpers/databases/template.ts'
import { findPostgres, startPostgres, type PostgresServer } from './helpers/databases/postgres.ts'
import { SEED } from './helpers/property.ts'

const TEMPLATE = 'kilowatt_template'

/**
 * `npm test`: tap, with what all test files share: one seed for every random case, which is printed first, and a
 * migrated database that they copy. A run of the whole suite has also one PostgreSQL server; a run of single files
 * leaves it to each file to start one, because few need it.
 */
async function main(args: string[]): Promise<number> {
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    TEST_SEED: String(SEED),
    // Most test files load the whole product: with the compiled code at hand that takes a third less time.
    NODE_COMPILE_CACHE: join(import.meta.dirname, '../.tap/compile-cache')
  }

  await using opened = new AsyncDisposableStack()
  await loadTemplate()
  if (args.length === 0) {
    const bin = env['TEST_DATABASE_URL'] ? undefined : await findPostgres()
    // The server ends with this process, in whatever way that ends: startPostgres has a keeper for that.
    if (bin) Object.assign(env, await shareDatabases(opened.use(await startPostgres(bin))))
  }
  const tap = spawn('tap', ['run', ...args], { env, stdio: 'inherit' })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => tap.kill(signal))
  const [code] = (await once(tap, 'exit')) as [number | null]
  return code ?? 1
}

/** Migrates a template database that every test copies. */
async function shareDatabases(server: PostgresServer): Promise<Record<string, string>> {
  const url = server.url('postgres')
  const admin = openPostgres({ url, connectionsMax: 1 })
  await sql`CREATE DATABASE ${sql.table(TEMPLATE)}`.execute(admin)
  await admin.destroy()
  await (await openDistributedDatabase({ url: server.url(TEMPLATE) })).destroy()
  return { TEST_DATABASE_URL: url, TEST_DATABASE_TEMPLATE: TEMPLATE }
}

process.exitCode = await main(process.argv.slice(2))
