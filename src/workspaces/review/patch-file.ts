import { randomUUID } from 'node:crypto'
import { open, rm, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import type { WorkspaceContext } from '../history/context.ts'

const POLL_MS = 50
const TIMEOUT_MS = 2 * 60_000

/** Settings of every diff: nothing of the repository or the machine decides what it shows. */
const DIFF = ['diff', '--no-ext-diff', '--no-textconv', '--no-color', '--no-renames']

/** An open file without a name, with what git wrote. Disposing closes it. */
export interface PatchFile extends AsyncDisposable {
  readonly file: FileHandle
  readonly bytes: number
  /** git wrote more than `bytesMax` and was ended. */
  readonly isCut: boolean
}

export interface DiffRequest {
  /** Two commits. */
  readonly ends: readonly [string, string]
  /** What git is to show, as its options. */
  readonly show: readonly string[]
  readonly path?: string | undefined
  readonly bytesMax: number
}

/**
 * Has git write a diff into a file of the staging folder, byte for byte: text that passed through our own messages would
 * have to be UTF-8, and a patch need not be. A slow reader then holds up no git, and the size is known before the first byte
 * is sent.
 */
export async function writeDiff(
  context: WorkspaceContext,
  { ends, show, path, bytesMax }: DiffRequest
): Promise<PatchFile> {
  const temporary = join(context.stagingDir, randomUUID())
  const file = await open(temporary, 'wx+', 0o600)
  try {
    const isCut = await runUpTo(file, bytesMax, (signal) =>
      context.git(
        [
          ...DIFF,
          ...show,
          `--output=${temporary}`,
          ...ends,
          '--',
          ...(path === undefined ? [] : [path])
        ],
        { signal, timeoutMs: TIMEOUT_MS }
      )
    )
    const { size } = await file.stat()
    return {
      file,
      bytes: Math.min(size, bytesMax),
      isCut,
      [Symbol.asyncDispose]: () => file.close()
    }
  } catch (error) {
    await file.close()
    throw error
  } finally {
    await rm(temporary, { force: true })
  }
}

/** Ends the work when the file exceeds the limit. Returns whether it does. */
async function runUpTo(
  file: FileHandle,
  bytesMax: number,
  work: (signal: AbortSignal) => Promise<unknown>
): Promise<boolean> {
  const tooLarge = new AbortController()
  const check = async () => {
    if ((await file.stat()).size > bytesMax) tooLarge.abort()
  }
  const watch = setInterval(() => void check().catch(() => {}), POLL_MS)
  try {
    await work(tooLarge.signal)
  } catch (error) {
    if (!tooLarge.signal.aborted) throw error
  } finally {
    clearInterval(watch)
  }
  return (await file.stat()).size > bytesMax
}
