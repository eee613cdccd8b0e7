import type { Readable } from 'node:stream'
import type { Log } from '#kernel/log.ts'
import type { Redact } from '../redact.ts'

const RING_CHARS_MAX = 64 * 1024
const LINE_CHARS_MAX = 8 * 1024

export interface ProcessLog {
  /** Reads this stream to its end: a full pipe would block the process. */
  drain(stream: Readable, source: 'stdout' | 'stderr', onLine?: (line: string) => void): void
  /** The last line that the process wrote, preferably on stderr. */
  lastLine(): string | undefined
  /** The end of everything that it wrote. */
  tail(): string
  /** How much it wrote so far. */
  chars(): number
}

/** Writes Kilo's output to the log, line by line and redacted, and keeps its end for error messages. */
export function createProcessLog(log: Log, redact: Redact): ProcessLog {
  let ring = ''
  let chars = 0
  const last: { stdout?: string; stderr?: string } = {}

  return {
    drain(stream, source, onLine) {
      let rest = ''
      const write = (raw: string) => {
        const line = redact(raw.trimEnd())
        if (line === '') return
        last[source] = line
        ring = `${ring}${line}\n`.slice(-RING_CHARS_MAX)
        log.debug({ source, line }, 'kilo wrote')
        onLine?.(raw)
      }

      stream.setEncoding('utf8')
      stream.on('data', (chunk: string) => {
        chars += chunk.length
        const lines = (rest + chunk).split('\n')
        rest = lines.pop() ?? ''
        lines.forEach((line) => write(line.slice(0, LINE_CHARS_MAX)))
        if (rest.length > LINE_CHARS_MAX) {
          write(rest)
          rest = ''
        }
      })
      stream.on('end', () => write(rest))
      // The pipe of a killed process may break; its exit is reported anyway.
      stream.on('error', () => {})
    },
    lastLine: () => last.stderr ?? last.stdout,
    tail: () => ring,
    chars: () => chars
  }
}
