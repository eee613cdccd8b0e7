import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createLedger } from '#billing'
import type { Db } from '#db'
import { jobId, transactionId, userId, type UserId } from '#kernel/ids.ts'
import { credits } from '#kernel/money.ts'
import { openDistributedDatabase } from '../../src/adapters/distributed/database.ts'
import { openEmbeddedDatabase } from '../../src/adapters/embedded/database.ts'
import { findPostgres, startPostgres } from '../helpers/databases/postgres.ts'
import { timed } from './measure.ts'

const CLIENTS = 32
const SECONDS = Number(process.env['BENCH_LEDGER_SECONDS'] ?? 5)
const PACED_A_SECOND = 100
const PACED_WALLETS = 20

const ledger = createLedger()

/**
 * Holds that are taken and settled: how many pairs a second 32 clients get through on one wallet and on 64, and how long
 * a pair takes when 100 come in a second. On PGlite in a folder and on a PostgreSQL that waits for its disk.
 */
export async function benchLedger(print: (line: string) => void): Promise<void> {
  await using closing = new AsyncDisposableStack()
  const dir = await mkdtemp(join(tmpdir(), 'kilowatt-bench-ledger-'))
  closing.defer(() => rm(dir, { recursive: true, force: true }))
  const pglite = await openEmbeddedDatabase(join(dir, 'db'))
  closing.defer(() => pglite.destroy())
  await benchOn('PGlite', pglite, print)

  const bin = await findPostgres()
  if (bin === undefined) return print('ledger on PostgreSQL: not installed here')
  const server = closing.use(await startPostgres(bin, { durable: true }))
  const url = server.url('postgres')
  const postgres = await openDistributedDatabase({ url, connectionsMax: CLIENTS })
  closing.defer(() => postgres.destroy())
  await benchOn('PostgreSQL', postgres, print)
}

async function benchOn(name: string, db: Db, print: (line: string) => void): Promise<void> {
  print(`ledger on ${name}, a hold and its settlement`)
  for (const wallets of [1, 64]) {
    const users = await openWallets(db, wallets)
    await pairsASecond(db, users, 0.5)
    const pairs = await pairsASecond(db, users, SECONDS)
    print(`  ${`${CLIENTS} clients, ${wallets} wallets`.padEnd(36)}${pairs.toFixed(0)} pairs/s`)
  }
  const taken = await paced(db, await openWallets(db, PACED_WALLETS))
  const at = (part: number) => taken[Math.ceil(taken.length * part) - 1]!.toFixed(1)
  const load = `${PACED_A_SECOND} pairs/s, ${PACED_WALLETS} wallets`
  print(`  ${load.padEnd(36)}p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`)
}

async function openWallets(db: Db, count: number): Promise<UserId[]> {
  const users = Array.from({ length: count }, () => userId.create())
  for (const user of users) {
    await ledger.openWallet(db, user)
    const id = transactionId.create()
    await ledger.grant(db, { id, userId: user, amount: credits(1_000_000), memo: {} })
  }
  return users
}

async function pair(db: Db, userId: UserId): Promise<void> {
  const holdId = jobId.create()
  await ledger.hold(db, { holdId, userId, amount: credits(10), memo: {} })
  const end = { userPays: 'used', reason: 'succeeded', memo: {} } as const
  await ledger.resolve(db, { holdId, cost: credits(4), ...end })
}

async function pairsASecond(db: Db, users: readonly UserId[], seconds: number): Promise<number> {
  const startedAt = performance.now()
  let pairs = 0
  const client = async (_: unknown, number: number) => {
    for (let n = number; performance.now() - startedAt < seconds * 1000; n += CLIENTS) {
      await pair(db, users[n % users.length]!)
      pairs += 1
    }
  }
  await Promise.all(Array.from({ length: CLIENTS }, client))
  return pairs / ((performance.now() - startedAt) / 1000)
}

/** Pairs that start at an even pace whether or not earlier ones have ended; milliseconds each, in order of size. */
async function paced(db: Db, users: readonly UserId[]): Promise<number[]> {
  const startedAt = performance.now()
  const running: Promise<number>[] = []
  for (let n = 0; n < SECONDS * PACED_A_SECOND; n += 1) {
    const due = startedAt + (n * 1000) / PACED_A_SECOND
    await sleep(Math.max(0, due - performance.now()))
    running.push(timed(() => pair(db, users[n % users.length]!)))
  }
  return (await Promise.all(running)).toSorted((a, b) => a - b)
}
