import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { GitPluginError, simpleGit } from 'simple-git'
import { decodeName, encodeName } from '../files/names.ts'
import { quote } from './quote.ts'
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
  /** The output has names: bytes that are no UTF-8 are kept, see files/names.ts. */
  readonly hasNames?: boolean
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
  if (!command.args.every((arg) => arg.isWellFormed())) return runByShell(command, signal)
  const limitReached = new AbortController()
  const { bytesMax, hasNames } = command
  const output =
    bytesMax === undefined && !hasNames
      ? undefined
      : collectOutput(bytesMax ?? Infinity, limitReached)
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
    const text = await git.raw([...command.args])
    const out = hasNames && output ? decodeName(output.bytes()) : text
    if (!output || !limitReached.signal.aborted) return { out, code, err, cut: false }
  } catch (error) {
    if (timeout.aborted)
      throw new Error(`git timed out after ${command.timeoutMs / 1000} s`, { cause: error })
    if (!output || !limitReached.signal.aborted) throw error
  }
  return { out: output.text(), code, err, cut: true }
}

/** Collects the first `bytesMax` bytes, and aborts git when there are more. */
function collectOutput(bytesMax: number, limitReached: { abort(): void }) {
  const chunks: Buffer[] = []
  let bytes = 0
  return {
    add(chunk: Buffer): void {
      if (bytes <= bytesMax) chunks.push(chunk)
      bytes += chunk.length
      if (bytes > bytesMax) limitReached.abort()
    },
    bytes: () => Buffer.concat(chunks),
    text: () => Buffer.concat(chunks).subarray(0, bytesMax).toString()
  }
}

/** Node passes arguments as UTF-8. A name with other bytes reaches git by the standard input of a shell. */
async function runByShell(command: GitCommand, signal: AbortSignal): Promise<GitAnswer> {
  const { cwd, env, args, config, timeoutMs, bytesMax = Infinity, hasNames } = command
  const shell = spawn('/bin/sh', ['-s'], { cwd, env: { ...env } })
  const timeout = AbortSignal.timeout(timeoutMs)
  const end = () => void shell.kill('SIGKILL')
  AbortSignal.any([timeout, signal]).addEventListener('abort', end, { once: true })
  const output = collectOutput(bytesMax, { abort: end })
  const errors = collectOutput(bytesMax, { abort: end })
  shell.stdout.on('data', output.add)
  shell.stderr.on('data', errors.add)
  const words = ['git', ...config.flatMap((setting) => ['-c', setting]), ...args]
  shell.stdin
    .on('error', () => {})
    .end(encodeName(`exec ${words.map(quote).join(' ')} </dev/null\n`))
  const [code] = (await once(shell, 'close')) as [number | null]
  if (timeout.aborted) throw new Error(`git timed out after ${timeoutMs / 1000} s`)
  signal.throwIfAborted()
  const out = hasNames ? decodeName(output.bytes()) : output.text()
  return { out, code: code ?? 1, err: errors.text(), cut: code === null }
}
