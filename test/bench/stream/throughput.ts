import { eventsOf, nowMs, sentAtMs, type Burst } from './burst.ts'
import { median, ratio, sideBySide } from '../measure.ts'
import { startFloor, startKilowatt, type Way } from './stage.ts'

const ROUNDS = Number(process.env['BENCH_STREAM_ROUNDS'] ?? 5)
const FRAMES = Number(process.env['BENCH_STREAM_BURST'] ?? 5000)
const PROJECTS = Number(process.env['BENCH_STREAM_PROJECTS'] ?? 10)

/**
 * How many lifecycle frames a second pass one node, while Kilo sends as fast as it is listened to: of one project, and of
 * several concurrent ones with the same number together. A watcher each. From the first byte to the last frame.
 */
export async function benchStreamThroughput(print: (line: string) => void): Promise<void> {
  await using kilowatt = await startKilowatt()
  await using floor = await startFloor()
  print('frames a second through one node, as fast as Kilo sends')

  for (const projects of [1, PROJECTS]) {
    const ways = {
      kilowatt: await Promise.all(Array.from({ length: projects }, () => kilowatt.way())),
      floor: await Promise.all(Array.from({ length: projects }, () => floor.way()))
    }
    const frames = 2 * Math.ceil(FRAMES / projects / 2)
    const burst: Burst = { tools: frames / 2 }
    const taken = await sideBySide(
      {
        kilowatt: () => together(ways.kilowatt, burst),
        floor: () => together(ways.floor, burst)
      },
      ROUNDS
    )
    const perSecond = (ms: number[]) =>
      ((frames * projects) / (median(ms) / 1000)).toFixed(0).padStart(8)
    print(`  ${frames} frames of each of ${projects} project${projects === 1 ? '' : 's'}`)
    print(`    kilowatt                  ${perSecond(taken.kilowatt)} frames/s`)
    print(`    bare relay                ${perSecond(taken.floor)} frames/s`)
    print(`    kilowatt / bare relay     ${ratio(taken.floor, taken.kilowatt).toFixed(3)} ×`)
  }
}

/** Milliseconds from the first event that any of them sends to the last that is received. */
async function together(ways: readonly Way[], burst: Burst): Promise<number> {
  const spans = await Promise.all(ways.map((way) => spanOf(way, burst)))
  const sentAt = Math.min(...spans.map((span) => span.sentAtMs))
  return Math.max(...spans.map((span) => span.heardAtMs)) - sentAt
}

/** A message's twin (Kilo says durable changes twice) is on the floor's way too, and is no frame of its own. */
async function spanOf(way: Way, burst: Burst) {
  const stamps = new Set<number>()
  let heardAtMs = 0
  await way.play(burst, (text) => {
    const stamp = sentAtMs(text)
    if (stamp === undefined || stamps.has(stamp)) return
    stamps.add(stamp)
    heardAtMs = nowMs()
  })
  if (stamps.size !== eventsOf(burst)) throw new Error(`${stamps.size} frames came`)
  return { sentAtMs: Math.min(...stamps), heardAtMs }
}
