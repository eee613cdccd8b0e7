import { parentPort } from 'node:worker_threads'
import { parseJson } from './parse-json.ts'

/** Messages to the worker thread. The bytes are transferred there and back, and never copied. */
export interface ToParser {
  readonly bytes: Uint8Array<ArrayBuffer>
}

type Numbered = ToParser & { readonly id: number }
export type FromParser = Numbered & ({ readonly value: unknown } | { readonly error: string })

parentPort?.on('message', ({ id, bytes }: Numbered) => {
  const answer = { id, bytes, ...outcomeOf(bytes) }
  parentPort?.postMessage(answer, [bytes.buffer])
})

function outcomeOf(bytes: Uint8Array) {
  try {
    return { value: parseJson(bytes) }
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) }
  }
}
