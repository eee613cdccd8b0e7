import { randomUUID } from 'node:crypto'
import { rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RunGit } from './runner-host.ts'
import { PATHS_FILE, type JailPlan } from './jail.ts'
import type { GitAnswer, GitCommand, GitFolders } from './run-git.ts'
import { encodeName } from '../files/names.ts'
import { BROKEN_INDEX, indexExists, isIndexSound, USES_INDEX } from './index-file.ts'
import { MAIN, readHead, readRef } from './refs.ts'
import { gitEnvironment, SAFE_CONFIG } from './safety.ts'

/** A git command that failed, could not run or timed out. The message has git's words, which are for the log. */
export class GitError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'GitError'
  }
}

export interface GitOptions {
  /** Exit codes to return; any other code throws an Error with git's message. Default: only 0. */
  readonly codes?: readonly number[]
  readonly env?: Readonly<Record<string, string>>
  readonly config?: readonly string[]
  readonly bytesMax?: number
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
  /** A folder of the staging folder to use as the worktree. */
  readonly workTree?: string
  /** Paths for a command that takes `--pathspec-from-file`: any number of them, with any name. */
  readonly paths?: readonly string[]
}

export type Git = (args: readonly string[], options?: GitOptions) => Promise<GitAnswer>

const TIMEOUT_MS = 5 * 60_000
const LOCK_POLL_MS = 50
const LOCK_TIMEOUT_MS = 40 * LOCK_POLL_MS
const LOCKED = /Unable to create '(.+\.lock)': File exists/

/**
 * Commands that read and write only the repository, which no agent can reach. They run without the worktree; every
 * other command runs in a jail where there is one.
 */
const REPOSITORY_ONLY = new Set([
  'cat-file',
  'check-ref-format',
  'diff',
  'diff-tree',
  'fetch',
  'fsck',
  'log',
  'ls-remote',
  'ls-tree',
  'merge-base',
  'merge-tree',
  'rev-list',
  'rev-parse',
  'update-ref',
  'write-tree'
])

/**
 * Runs git with the project's git directory, a fixed environment, and no hooks, filters, pagers or prompts. With a
 * jail, a command that touches the worktree reaches nothing but worktree, repository and staging folder. A missing or
 * broken index is made again from the commit of HEAD. Rejects with a GitError.
 */
export function createGit(folders: GitFolders, run: RunGit, jail?: Promise<JailPlan>): Git {
  const { repo } = folders
  let isChecked = false

  const runOnce = (args: readonly string[], options: GitOptions) =>
    retryPastStaleLocks(repo, async () => {
      const place = runnerFor(folders, run, { name: args[0], ...options }, await jail)
      const answer = await runSafely(place, repo, args, options)
      const expected = (options.codes ?? [0]).includes(answer.code) && !LOCKED.test(answer.err)
      if (expected || answer.cut) return answer
      const reason = answer.err.trim() || answer.out.trim() || `exit code ${answer.code}`
      throw new GitError(`git ${args[0]}: ${reason}`)
    })

  const makeIndex = async () => {
    const commit = readRef(repo, readHead(repo)) ?? readRef(repo, MAIN)
    if (commit === undefined) return
    rmSync(join(repo, 'index'), { force: true })
    await runOnce(['read-tree', commit], {})
  }

  return async (args, options = {}) => {
    using listed = listPaths(folders, options.paths)
    const all = [...args, ...listed.args]
    const isAboutIndex = options.env?.['GIT_INDEX_FILE'] === undefined
    if (isAboutIndex && USES_INDEX.has(args[0])) {
      // Only a crash can break the index: git replaces it by a rename.
      const isSound = isChecked ? indexExists(repo) : isIndexSound(repo)
      isChecked = true
      if (!isSound) await makeIndex()
    }
    try {
      const answer = await runOnce(all, options)
      if (!isAboutIndex || !BROKEN_INDEX.test(answer.err)) return answer
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      if (!isAboutIndex || !BROKEN_INDEX.test(message)) {
        throw error instanceof GitError ? error : new GitError(message, { cause: error })
      }
    }
    await makeIndex()
    return runOnce(all, options)
  }
}

function listPaths({ stagingDir }: GitFolders, paths: readonly string[] | undefined) {
  if (!paths) return { args: [], [Symbol.dispose]: () => {} }
  const file = join(stagingDir, randomUUID())
  writeFileSync(file, encodeName(paths.join('\0')))
  return {
    args: [`${PATHS_FILE}${file}`, '--pathspec-file-nul'],
    [Symbol.dispose]: () => rmSync(file, { force: true })
  }
}

/** Commands whose output is names, and no content of files. */
const HAS_NAMES: ReadonlySet<string | undefined> = new Set([
  'add',
  'diff-index',
  'diff-tree',
  'ls-files',
  'ls-tree',
  'status'
])

/** Creates an empty bare repository without the template files of the machine. */
export async function initRepository(run: RunGit, repo: string, cwd: string): Promise<void> {
  const { code, err } = await runSafely(
    run,
    cwd,
    ['init', '--bare', '--template=', '--initial-branch=main', '--', repo],
    {}
  )
  if (code !== 0) throw new GitError(`git init: ${err.trim()}`)
}

/**
 * Retries while git reports a lock file, and removes the file after 2 s. The caller holds the project's mutex, so the
 * lock belongs to a git process that outlived a killed server and is about to finish, or it is stale.
 */
async function retryPastStaleLocks(
  repo: string,
  run: () => Promise<GitAnswer>
): Promise<GitAnswer> {
  for (let waitedMs = 0; ; waitedMs += LOCK_POLL_MS) {
    try {
      return await run()
    } catch (error) {
      const lock = LOCKED.exec(String(error))?.[1]
      // The message may contain a name that an agent chose, so only a file inside the repository is removed.
      if (!lock || !resolve(lock).startsWith(`${repo}/`) || waitedMs > LOCK_TIMEOUT_MS) throw error
      if (waitedMs === LOCK_TIMEOUT_MS) rmSync(lock, { force: true })
      await sleep(LOCK_POLL_MS)
    }
  }
}

/** Runs one command where it belongs: beside the repository, in the worktree, or in a jail with both. */
function runnerFor(
  folders: GitFolders,
  run: RunGit,
  { name, workTree }: { readonly name?: string | undefined; readonly workTree?: string },
  jail: JailPlan | undefined
): RunGit {
  const { repo, worktree } = folders
  if (name !== undefined && REPOSITORY_ONLY.has(name))
    return inPlace(run, repo, [`--git-dir=${repo}`])
  if (!jail)
    return inPlace(run, worktree, [`--git-dir=${repo}`, `--work-tree=${workTree ?? worktree}`])
  return (command, signal) =>
    run({ ...command, jail, folders, ...(workTree === undefined ? {} : { workTree }) }, signal)
}

const inPlace =
  (run: RunGit, cwd: string, location: readonly string[]): RunGit =>
  (command, signal) =>
    run({ ...command, cwd, args: [...location, ...command.args] }, signal)

function runSafely(
  run: RunGit,
  cwd: string,
  args: readonly string[],
  { env, config = [], bytesMax, timeoutMs = TIMEOUT_MS, signal }: GitOptions
): Promise<GitAnswer> {
  const command: GitCommand = {
    cwd,
    args,
    env: gitEnvironment(env),
    config: [...SAFE_CONFIG, ...config],
    timeoutMs,
    ...(HAS_NAMES.has(args[0]) ? { hasNames: true } : {}),
    ...(bytesMax === undefined ? {} : { bytesMax })
  }
  return run(command, signal)
}
