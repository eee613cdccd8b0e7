export { onPostgres, type PostgresTests } from './databases/on-postgres.ts'
export { openTestDatabase } from './databases/pglite-pool.ts'
