import { GitPluginError, simpleGit } from 'simple-git'
import { UNSAFE_WORDS } from './safety.ts'

/** One project's folders. */
export interface GitFolders {
  readonly repo: string
  readonly worktree: string
  /** Holds copies of the index; no agent can reach it. */
  readonly stagingDir: string
}

/** A complete git command: the runner adds nothing to it. */
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

/** Runs one git command with simple-git. Returns any exit code; a timeout, abort or spawn failure throws. */
export async function runGit(command: GitCommand, signal: AbortSignal): Promise<GitAnswer> {
  const limitReached = new AbortController()
  const output =
    command.bytesMax === undefined ? undefined : collectOutput(command.bytesMax, limitReached)
  const timeout = AbortSignal.timeout(command.timeoutMs)
  const abort = AbortSignal.any([limitReached.signal, timeout, signal])
  let code = 0
  let err = ''

  const git = simpleGit({
    baseDir: command.cwd,
    abort,
    config: [...command.config],
    unsafe: UNSAFE_WORDS,
    completion: { onClose: true, onExit: false },
    // simple-git passes the exit code only to this hook; returning undefined keeps it from throwing.
    errors: (error, result) => {
      code = result.exitCode
      err = Buffer.concat(result.stdErr).toString()
      return error instanceof GitPluginError ? error : undefined
    }
  })
  git.env({ ...command.env })
  git.outputHandler((_command, stdout) => {
    if (output) stdout.on('data', output.add)
    // simple-git waits 50 ms longer for a command without output; an empty chunk counts as output.
    stdout.once('end', () => stdout.emit('data', Buffer.alloc(0)))
  })

  try {
    const out = await git.raw([...command.args])
    if (!output || !limitReached.signal.aborted) return { out, code, err, cut: false }
  } catch (error) {
    if (timeout.aborted)
      throw new Error(`git timed out after ${command.timeoutMs / 1000} s`, { cause: error })
    if (!output || !limitReached.signal.aborted) throw error
  }
  return { out: output.text(), code, err, cut: true }
}

/** Collects the first `bytesMax` bytes, and aborts git when there are more. */
function collectOutput(bytesMax: number, limitReached: AbortController) {
  const chunks: Buffer[] = []
  let bytes = 0
  return {
    add(chunk: Buffer): void {
      if (bytes <= bytesMax) chunks.push(chunk)
      bytes += chunk.length
      if (bytes > bytesMax) limitReached.abort()
    },
    text: () => Buffer.concat(chunks).subarray(0, bytesMax).toString()
  }
}
