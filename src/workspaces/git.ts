import { rmSync } from 'node:fs'
import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { GitPluginError, simpleGit } from 'simple-git'
import { gitEnvironment, SAFE_CONFIG, UNSAFE_WORDS } from './git-safety.ts'

export interface GitAnswer {
  readonly code: number
  readonly out: string
  readonly err: string
  /** Whether `out` was cut at `bytesMax`. */
  readonly cut: boolean
}

export interface GitOptions {
  /** Exit codes that are answers; any other is an Error with git's own message. Only 0 unless said. */
  readonly codes?: readonly number[]
  readonly env?: Readonly<Record<string, string>>
  readonly config?: readonly string[]
  readonly bytesMax?: number
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

export type Git = (args: readonly string[], options?: GitOptions) => Promise<GitAnswer>

const TIMEOUT_MS = 5 * 60_000
const LOCK_POLL_MS = 50
const LOCK_PATIENCE_MS = 40 * LOCK_POLL_MS
const LOCKED = /Unable to create '(.+\.lock)': File exists/

export interface GitFolders {
  readonly repo: string
  readonly worktree: string
}

/** Runs git so that nothing but git runs: our git directory, our environment, no hook, filter, pager or prompt. */
export function createGit({ repo, worktree }: GitFolders): Git {
  const place = [`--git-dir=${repo}`, `--work-tree=${worktree}`]
  return (args, options = {}) =>
    pastStaleLocks(repo, async () => {
      const answer = await spawnGit(worktree, [...place, ...args], options)
      const expected = (options.codes ?? [0]).includes(answer.code) && !LOCKED.test(answer.err)
      if (expected || answer.cut) return answer
      const said = answer.err.trim() || answer.out.trim() || `exit code ${answer.code}`
      throw new Error(`git ${args[0]}: ${said}`)
    })
}

/** Makes an empty bare repository that has nothing of this machine's templates. */
export async function initRepository(repo: string, cwd: string): Promise<void> {
  const { code, err } = await spawnGit(
    cwd,
    ['init', '--bare', '--template=', '--initial-branch=main', '--', repo],
    {}
  )
  if (code !== 0) throw new Error(`git init: ${err.trim()}`)
}

/**
 * The caller has the project to itself, so a lock file is either held by a git that outlived a killed server, and
 * goes in a moment, or was left by one that died too.
 */
async function pastStaleLocks(repo: string, run: () => Promise<GitAnswer>): Promise<GitAnswer> {
  for (let waitedMs = 0; ; waitedMs += LOCK_POLL_MS) {
    try {
      return await run()
    } catch (error) {
      const lock = LOCKED.exec(String(error))?.[1]
      // The message may quote a name that an agent chose: nothing outside our own repository is ever removed.
      if (!lock || !resolve(lock).startsWith(`${repo}/`) || waitedMs > LOCK_PATIENCE_MS) throw error
      if (waitedMs === LOCK_PATIENCE_MS) rmSync(lock, { force: true })
      await sleep(LOCK_POLL_MS)
    }
  }
}

async function spawnGit(cwd: string, args: string[], options: GitOptions): Promise<GitAnswer> {
  const enough = new AbortController()
  const kept = options.bytesMax === undefined ? undefined : keeper(options.bytesMax, enough)
  const late = AbortSignal.timeout(options.timeoutMs ?? TIMEOUT_MS)
  const abort = AbortSignal.any([enough.signal, late, ...(options.signal ? [options.signal] : [])])
  let code = 0
  let err = ''

  const git = simpleGit({
    baseDir: cwd,
    abort,
    config: [...SAFE_CONFIG, ...(options.config ?? [])],
    unsafe: UNSAFE_WORDS,
    completion: { onClose: true, onExit: false },
    // The exit code is told here and nowhere else; answering undefined keeps simple-git from judging it.
    errors: (error, result) => {
      code = result.exitCode
      err = Buffer.concat(result.stdErr).toString()
      return error instanceof GitPluginError ? error : undefined
    }
  })
  git.env(gitEnvironment(options.env))
  git.outputHandler((_command, stdout) => {
    if (kept) stdout.on('data', kept.take)
    // simple-git waits 50 ms more for a command that said nothing; an empty piece counts as having said something.
    stdout.once('end', () => stdout.emit('data', Buffer.alloc(0)))
  })

  try {
    const out = await git.raw(args)
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
