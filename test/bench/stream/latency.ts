import { createAges, eventsOf, type Burst } from './burst.ts'
import { quantile } from '../measure.ts'
import { startFloor, startKilowatt, type Way } from './stage.ts'

const ROUNDS = Number(process.env['BENCH_STREAM_ROUNDS'] ?? 5)
const FRAMES = Number(process.env['BENCH_STREAM_FRAMES'] ?? 400)

/**
 * From the byte that Kilo sends to the message in the client's hands: through the whole product, and through a relay
 * that only passes on, in turn. Text is joined for up to 50 ms on purpose, so it is measured by itself.
 */
export async function benchStreamLatency(print: (line: string) => void): Promise<void> {
  await using kilowatt = await startKilowatt()
  await using floor = await startFloor()
  const ways = { kilowatt: await kilowatt.way(), floor: await floor.way() }

  const bursts: Record<string, Burst> = {
    'a tool’s event every 5 ms': { tools: FRAMES / 2, perSecond: 200 },
    'a piece of text every 5 ms, joined': { texts: FRAMES, perSecond: 200 },
    'a piece of text every 100 ms': { texts: Math.ceil(FRAMES / 20), perSecond: 10 }
  }
  print('from Kilo’s byte to the client’s socket')
  for (const [name, burst] of Object.entries(bursts)) {
    const through = await ages(ways.kilowatt, ways.floor, burst)
    const [p50, p99] = [quantile(through.kilowatt, 0.5), quantile(through.kilowatt, 0.99)]
    const [bare50, bare99] = [quantile(through.floor, 0.5), quantile(through.floor, 0.99)]
    print(`  ${name}`)
    print(`    kilowatt                  p50 ${ms(p50)}   p99 ${ms(p99)}`)
    print(`    bare relay                p50 ${ms(bare50)}   p99 ${ms(bare99)}`)
    print(`    added                     p50 ${ms(p50 - bare50)}   p99 ${ms(p99 - bare99)}`)
  }
}

const ms = (taken: number) => `${taken.toFixed(2)} ms`.padStart(9)

/** Every event's age on arrival, of all rounds but the first, which warms up. */
async function ages(kilowatt: Way, floor: Way, burst: Burst) {
  const all = { kilowatt: [] as number[], floor: [] as number[] }
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const [name, way] of [
      ['kilowatt', kilowatt],
      ['floor', floor]
    ] as const) {
      const { ages, receive } = createAges()
      await way.play(burst, receive)
      if (ages.length !== eventsOf(burst))
        throw new Error(`${ages.length} of ${eventsOf(burst)} came`)
      if (round > 0) all[name].push(...ages)
    }
  }
  return all
}
