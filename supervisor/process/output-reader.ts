import type { Readable } from 'node:stream'

/** What a stream may cost this server in each second, whatever the program at its other end writes. */
export const OUTPUT_LIMITS = {
  windowMs: 1000,
  /** Read as lines. */
  linesMax: 1000,
  bytesMax: 1024 * 1024,
  /** Read at all; after that the program waits at its next write. */
  discardedBytesMax: 32 * 1024 * 1024,
  lineCharsMax: 8 * 1024
} as const

export interface OutputReader {
  /** Passes on what was kept back: the end of a line, and the end of what was discarded. */
  flush(): void
}

export interface OutputReaderOptions {
  /** Without its line break, at most `lineCharsMax` long. */
  readonly onLine: (line: string) => void
  readonly onBytes: (bytes: number) => void
  /** Output is discarded: called once. */
  readonly onDiscard: () => void
}

/**
 * Reads the lines of an output to its end: a full pipe would block the process. An agent can write to its own output as
 * fast as it likes, so beyond a limit the lines of a second are discarded unread, all but the last ones, and far beyond it
 * the stream is paused until the second is over.
 */
export function readOutput(stream: Readable, options: OutputReaderOptions): OutputReader {
  const { windowMs, linesMax, bytesMax, discardedBytesMax, lineCharsMax } = OUTPUT_LIMITS
  let decoder = new TextDecoder()
  let rest = ''
  let lines = 0
  let bytes = 0
  /** The last bytes of what was discarded. */
  let tail = Buffer.alloc(0)
  let hasDiscarded = false
  let windowEndsMs = 0
  let renewal: NodeJS.Timeout | undefined

  const emit = (line: string) => {
    lines += 1
    options.onLine(line.slice(0, lineCharsMax))
  }

  const read = (chunk: Buffer) => {
    const found = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = found.pop() ?? ''
    const kept = found.slice(0, Math.max(0, linesMax - lines))
    kept.forEach(emit)
    if (kept.length < found.length) {
      const last = found.slice(Math.max(kept.length, found.length - linesMax)).join('\n')
      discard(Buffer.from(`${last}\n${rest}`))
    } else if (rest.length > lineCharsMax) {
      emit(rest)
      rest = ''
    }
  }

  const discard = (chunk: Buffer) => {
    tail = Buffer.concat([tail, chunk.subarray(-lineCharsMax)]).subarray(-lineCharsMax)
    decoder = new TextDecoder()
    rest = ''
    if (hasDiscarded) return
    hasDiscarded = true
    options.onDiscard()
  }

  const flush = () => {
    const last = rest + tail.toString('utf8')
    rest = ''
    tail = Buffer.alloc(0)
    if (last !== '') last.split('\n').slice(-linesMax).forEach(emit)
  }

  const renew = () => {
    clearTimeout(renewal)
    renewal = undefined
    if (tail.length > 0) flush()
    lines = 0
    bytes = 0
    windowEndsMs = performance.now() + windowMs
    stream.resume()
  }

  stream.on('data', (chunk: Buffer) => {
    options.onBytes(chunk.length)
    if (performance.now() >= windowEndsMs) renew()
    bytes += chunk.length
    if (lines < linesMax && bytes <= bytesMax) return read(chunk)

    discard(chunk)
    if (bytes > discardedBytesMax) stream.pause()
    renewal ??= setTimeout(renew, windowEndsMs - performance.now()).unref()
  })
  stream.on('end', flush)
  // The pipe of a killed process may break; its exit is reported anyway.
  stream.on('error', () => {})
  stream.on('close', () => clearTimeout(renewal))
  return { flush }
}
