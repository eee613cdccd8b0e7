import t from 'tap'
import { sampleOf } from '../helpers/property.ts'

// Read when the benchmarks are loaded: a size that shows that they run, and says nothing about speed.
Object.assign(process.env, {
  BENCH_STREAM_ROUNDS: '1',
  BENCH_STREAM_FRAMES: '20',
  BENCH_STREAM_BURST: '60',
  BENCH_STREAM_PROJECTS: '2',
  BENCH_STREAM_REPLAY: '600',
  BENCH_STREAM_SOCKETS: '20',
  BENCH_STREAM_MEMORY_ROUNDS: '1'
})

// Each starts servers of its own and waits for them.
t.jobs = 2

/** The benchmarks of the stream run and report both sides; a usual run tries one of them. */
for (const [file, name] of sampleOf(
  [
    ['stream/latency', 'benchStreamLatency'],
    ['stream/throughput', 'benchStreamThroughput'],
    ['stream/replay', 'benchStreamReplay'],
    ['stream/memory', 'benchStreamMemory']
  ] as const,
  1
)) {
  t.test(file, async (t) => {
    const page = (await import(`./${file}.ts`)) as Record<
      string,
      (print: (line: string) => void) => Promise<void>
    >
    const lines: string[] = []
    await page[name]!((line) => lines.push(line))
    t.match(lines.join('\n'), /kilowatt[^\n]* \d[^]*bare[^\n]* \d/)
    t.notMatch(lines.join('\n'), /NaN|undefined|Infinity/)
  })
}
