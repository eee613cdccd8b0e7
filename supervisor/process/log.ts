import type { Readable } from 'node:stream'
import type { Log } from '#kernel/log.ts'
import type { Redact } from '../redact.ts'
import { readOutput, type OutputReader } from './output-reader.ts'

const RING_LINES_MAX = 64
const RING_CHARS_MAX = 64 * 1024

export interface ProcessLog {
  /** Reads this stream to its end. */
  drain(stream: Readable, source: 'stdout' | 'stderr', onLine?: (line: string) => void): void
  /** The last line that the process wrote, preferably on stderr. */
  lastLine(): string | undefined
  /** The end of everything that it wrote. */
  tail(): string
  /** How much it wrote so far. */
  bytes(): number
}

/** Writes Kilo's output to the log, line by line and redacted, and keeps its end for error messages. */
export function createProcessLog(log: Log, redact: Redact): ProcessLog {
  const ring: string[] = []
  const readers: OutputReader[] = []
  const last: { stdout?: string; stderr?: string } = {}
  let bytes = 0
  const flush = () => readers.forEach((reader) => reader.flush())

  return {
    drain(stream, source, onLine) {
      const write = (raw: string) => {
        const line = redact(raw.trimEnd())
        if (line === '') return
        last[source] = line
        ring.push(line)
        if (ring.length > RING_LINES_MAX) ring.splice(0, ring.length - RING_LINES_MAX)
        log.debug({ source, line }, 'kilo wrote')
        onLine?.(raw)
      }
      readers.push(
        readOutput(stream, {
          onLine: write,
          onBytes: (count) => (bytes += count),
          onDiscard: () => log.warn({ source }, 'kilo writes too much, and output is discarded')
        })
      )
    },
    lastLine() {
      flush()
      return last.stderr ?? last.stdout
    },
    tail() {
      flush()
      return ring
        .map((line) => `${line}\n`)
        .join('')
        .slice(-RING_CHARS_MAX)
    },
    bytes: () => bytes
  }
}
