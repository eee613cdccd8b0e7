import { once } from 'node:events'
import type { WebSocket } from 'ws'
import { median } from '../measure.ts'
import { memoryOf, type Memory } from './memory-file.ts'
import { startFloor, startKilowatt } from './stage.ts'

const ROUNDS = Number(process.env['BENCH_STREAM_MEMORY_ROUNDS'] ?? 3)
const SOCKETS = Number(process.env['BENCH_STREAM_SOCKETS'] ?? 1000)
const AT_ONCE = 50

/**
 * What a subscribed socket costs the server, beside one that a bare `ws` server holds. Resident memory grows by leaps, with
 * what a server compiles and what its collector keeps in hand, so as many sockets come and go before anything is measured.
 */
export async function benchStreamMemory(print: (line: string) => void): Promise<void> {
  await using kilowatt = await startKilowatt()
  await using floor = await startFloor()
  const openOne = await kilowatt.audience(SOCKETS)
  const ways = {
    kilowatt: await perSocket(kilowatt.server.pid, openOne),
    floor: await perSocket(floor.relay.pid, () => floor.socketTo('/idle'))
  }

  const kib = (rounds: readonly Memory[], of: keyof Memory) =>
    `${(median(rounds.map((memory) => memory[of])) / 1024).toFixed(1).padStart(6)} KiB`
  print(`memory of each of ${SOCKETS} sockets`)
  for (const [says, of] of [
    ['in use after a collection', 'live'],
    ['resident', 'rss']
  ] as const) {
    print(`  ${says}`)
    print(`    kilowatt, subscribed      ${kib(ways.kilowatt, of)}`)
    print(`    bare ws server            ${kib(ways.floor, of)}`)
  }
}

/** How much more a server holds with all sockets open than before, round by round. */
async function perSocket(pid: number, open: () => Promise<WebSocket>): Promise<Memory[]> {
  await closeAll(await openMany(open))
  const rounds: Memory[] = []
  for (let round = 0; round < ROUNDS; round += 1) {
    const before = await memoryOf(pid)
    const sockets = await openMany(open)
    const after = await memoryOf(pid)
    await closeAll(sockets)
    rounds.push({
      rss: (after.rss - before.rss) / SOCKETS,
      live: (after.live - before.live) / SOCKETS
    })
  }
  return rounds
}

async function openMany(open: () => Promise<WebSocket>): Promise<WebSocket[]> {
  const sockets: WebSocket[] = []
  while (sockets.length < SOCKETS) {
    const some = Math.min(AT_ONCE, SOCKETS - sockets.length)
    sockets.push(...(await Promise.all(Array.from({ length: some }, open))))
  }
  return sockets
}

async function closeAll(sockets: readonly WebSocket[]): Promise<void> {
  await Promise.all(
    sockets.map((socket) => {
      const closed = once(socket, 'close')
      socket.close()
      return closed
    })
  )
}
