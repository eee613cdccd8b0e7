import { GitPluginError, simpleGit } from 'simple-git'
import { UNSAFE_WORDS } from './safety.ts'

/** A git command, whole: nothing is added to it on its way. */
export interface GitCommand {
  readonly cwd: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly config: readonly string[]
  readonly timeoutMs: number
  readonly bytesMax?: number
}

export interface GitAnswer {
  readonly code: number
  readonly out: string
  readonly err: string
  /** Whether `out` was cut at `bytesMax`. */
  readonly cut: boolean
}

/** Runs one git command with simple-git. Its exit code is part of the answer; only what kept it from ending is thrown. */
export async function runGit(command: GitCommand, signal: AbortSignal): Promise<GitAnswer> {
  const enough = new AbortController()
  const kept = command.bytesMax === undefined ? undefined : keeper(command.bytesMax, enough)
  const late = AbortSignal.timeout(command.timeoutMs)
  const abort = AbortSignal.any([enough.signal, late, signal])
  let code = 0
  let err = ''

  const git = simpleGit({
    baseDir: command.cwd,
    abort,
    config: [...command.config],
    unsafe: UNSAFE_WORDS,
    completion: { onClose: true, onExit: false },
    // The exit code is told here and nowhere else; answering undefined keeps simple-git from judging it.
    errors: (error, result) => {
      code = result.exitCode
      err = Buffer.concat(result.stdErr).toString()
      return error instanceof GitPluginError ? error : undefined
    }
  })
  git.env({ ...command.env })
  git.outputHandler((_command, stdout) => {
    if (kept) stdout.on('data', kept.take)
    // simple-git waits 50 ms more for a command that said nothing; an empty piece counts as having said something.
    stdout.once('end', () => stdout.emit('data', Buffer.alloc(0)))
  })

  try {
    const out = await git.raw([...command.args])
    if (!kept || !enough.signal.aborted) return { out, code, err, cut: false }
  } catch (error) {
    if (late.aborted) throw new Error('git took too long', { cause: error })
    if (!kept || !enough.signal.aborted) throw error
  }
  return { out: kept.text(), code, err, cut: true }
}

/** Keeps the first `bytesMax` bytes, and stops git once there are more. */
function keeper(bytesMax: number, enough: AbortController) {
  const pieces: Buffer[] = []
  let bytes = 0
  return {
    take(piece: Buffer): void {
      if (bytes <= bytesMax) pieces.push(piece)
      bytes += piece.length
      if (bytes > bytesMax) enough.abort()
    },
    text: () => Buffer.concat(pieces).subarray(0, bytesMax).toString()
  }
}
