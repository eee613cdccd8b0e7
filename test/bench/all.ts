import { availableParallelism, totalmem } from 'node:os'
import { benchGateway } from './gateway.ts'
import { benchJobs } from './jobs.ts'
import { benchLedger } from './ledger.ts'

const print = (line: string) => void process.stdout.write(`${line}\n`)

const memoryGb = (totalmem() / 1e9).toFixed(0)
print(
  `Node ${process.version}, ${availableParallelism()} cores, ${memoryGb} GB; medians of one run.`
)
await benchJobs(print)
await benchGateway(print)
await benchLedger(print)
