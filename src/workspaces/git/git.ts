import { rmSync } from 'node:fs'
import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RunGit } from './runner-host.ts'
import type { GitAnswer } from './run-git.ts'
import { gitEnvironment, SAFE_CONFIG } from './safety.ts'

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
export function createGit({ repo, worktree }: GitFolders, run: RunGit): Git {
  const context = [`--git-dir=${repo}`, `--work-tree=${worktree}`]
  return (args, options = {}) =>
    pastStaleLocks(repo, async () => {
      const answer = await runSafely(run, worktree, [...context, ...args], options)
      const expected = (options.codes ?? [0]).includes(answer.code) && !LOCKED.test(answer.err)
      if (expected || answer.cut) return answer
      const said = answer.err.trim() || answer.out.trim() || `exit code ${answer.code}`
      throw new Error(`git ${args[0]}: ${said}`)
    })
}

/** Makes an empty bare repository that has nothing of this machine's templates. */
export async function initRepository(run: RunGit, repo: string, cwd: string): Promise<void> {
  const { code, err } = await runSafely(
    run,
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

function runSafely(
  run: RunGit,
  cwd: string,
  args: readonly string[],
  { env, config = [], bytesMax, timeoutMs = TIMEOUT_MS, signal }: GitOptions
): Promise<GitAnswer> {
  const command = {
    cwd,
    args,
    env: gitEnvironment(env),
    config: [...SAFE_CONFIG, ...config],
    timeoutMs,
    ...(bytesMax === undefined ? {} : { bytesMax })
  }
  return run(command, signal)
}
