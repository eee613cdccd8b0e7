import { availableParallelism, totalmem } from 'node:os'
import { benchGateway } from './gateway.ts'
import { benchJobs } from './jobs.ts'
import { benchLedger } from './ledger.ts'
import { benchStreamLatency } from './stream/latency.ts'
import { benchStreamMemory } from './stream/memory.ts'
import { benchStreamReplay } from './stream/replay.ts'
import { benchStreamThroughput } from './stream/throughput.ts'

const print = (line: string) => void process.stdout.write(`${line}\n`)

const memoryGb = (totalmem() / 1e9).toFixed(0)
print(
  `Node ${process.version}, ${availableParallelism()} cores, ${memoryGb} GB; medians of one run.`
)
await benchJobs(print)
await benchGateway(print)
await benchLedger(print)
await benchStreamLatency(print)
await benchStreamThroughput(print)
await benchStreamReplay(print)
await benchStreamMemory(print)
