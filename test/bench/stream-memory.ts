import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { WebSocket } from 'ws'
import { median } from './measure.ts'
import { startFloor, startKilowatt } from './stream-stage.ts'

const ROUNDS = Number(process.env['BENCH_STREAM_MEMORY_ROUNDS'] ?? 3)
const SOCKETS = Number(process.env['BENCH_STREAM_SOCKETS'] ?? 1000)
const AT_ONCE = 50
const SETTLE_MS = 1000

/**
 * What a subscribed socket costs in the server's resident memory, after its garbage was collected, beside a socket that a
 * bare `ws` server holds. Each round has servers of its own: memory that was once grown into costs nothing the next time.
 */
export async function benchStreamMemory(print: (line: string) => void): Promise<void> {
  const bytes = { kilowatt: [] as number[], floor: [] as number[] }
  for (let round = 0; round < ROUNDS; round += 1) {
    bytes.kilowatt.push(await ofKilowatt())
    bytes.floor.push(await ofFloor())
  }
  const kb = (taken: number[]) => `${(median(taken) / 1024).toFixed(1).padStart(6)} KiB`
  print(`resident memory of each of ${SOCKETS} sockets`)
  print(`  kilowatt, subscribed        ${kb(bytes.kilowatt)}`)
  print(`  bare ws server              ${kb(bytes.floor)}`)
}

async function ofKilowatt(): Promise<number> {
  await using kilowatt = await startKilowatt()
  const projectId = await kilowatt.project()
  return await perSocket(kilowatt.server.pid, () => kilowatt.watch(projectId))
}

async function ofFloor(): Promise<number> {
  await using floor = await startFloor()
  return await perSocket(floor.relay.pid, () => floor.socketTo('/idle'))
}

/** A few sockets come and go first: what a server loads once is not what a socket costs. */
async function perSocket(pid: number, open: () => Promise<WebSocket>): Promise<number> {
  await closeAll(await openMany(open, AT_ONCE))
  const before = await residentBytes(pid)
  const sockets = await openMany(open, SOCKETS)
  const after = await residentBytes(pid)
  await closeAll(sockets)
  return (after - before) / SOCKETS
}

async function openMany(open: () => Promise<WebSocket>, count: number): Promise<WebSocket[]> {
  const sockets: WebSocket[] = []
  while (sockets.length < count) {
    const some = Math.min(AT_ONCE, count - sockets.length)
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

async function residentBytes(pid: number): Promise<number> {
  process.kill(pid, 'SIGUSR2')
  await sleep(SETTLE_MS)
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)![1]) * 1024
}
