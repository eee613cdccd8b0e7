import { writeFileSync } from 'node:fs'
import { memoryFileOf } from './memory-file.ts'

/** Loaded before a server whose memory is measured (`--expose-gc --import`): SIGUSR2 writes down what it really holds. */
process.on('SIGUSR2', () => {
  globalThis.gc?.()
  globalThis.gc?.()
  const { rss, heapUsed, external } = process.memoryUsage()
  writeFileSync(memoryFileOf(process.pid), JSON.stringify({ rss, live: heapUsed + external }))
})
