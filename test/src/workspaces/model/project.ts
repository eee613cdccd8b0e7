import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, lstatSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { AppError } from '#kernel/errors.ts'
import type { ProjectId } from '#kernel/ids.ts'
import { KILO, type Workspace } from '#workspaces'
import type { GitHost } from '../../../../src/workspaces/git/runner-host.ts'
import { ANN, branch, MERGE } from '../kit.ts'
import { act } from './agent.ts'
import { isCrash, openUntilCrash } from './crashing.ts'
import type { Step } from './steps.ts'

type State = 'merged' | 'held' | 'conflict' | 'discarded' | 'reverted' | 'none' | 'unknown'

interface Job {
  readonly mark: string
  readonly session: number
  state: State
  base?: string
  commit?: string
  /** The held job of the same session that it continues. */
  readonly on: Job | undefined
}

type JobStep = Extract<Step, { kind: 'job' }>

/** Refusals that a person may get; anything else fails the run. */
const REFUSALS = new Set([
  'path_not_allowed',
  'path_is_directory',
  'not_found',
  'job_not_mergeable'
])

/** One project, what happened to it, and what must hold after each step. */
export function createModel(host: GitHost, projectsDir: string, id: ProjectId) {
  const dir = join(projectsDir, id)
  const worktree = join(dir, 'worktree')
  const git = (...args: string[]) =>
    execFileSync('git', ['--git-dir', join(dir, 'repo'), ...args], {
      encoding: 'utf8',
      stdio: 'pipe'
    }).trimEnd()
  const jobs: Job[] = []
  const secrets = new Map<string, string>()
  let main = git('rev-parse', 'main')
  let count = 0

  /** A save that a crash may have interrupted. */
  let unanswered: { readonly path: string; readonly text: string } | undefined
  const textOf = (path: string) => {
    const file = join(worktree, path)
    const isFile = statSync(file, { throwIfNoEntry: false })?.isFile()
    return isFile ? readFileSync(file, 'utf8') : undefined
  }
  const saveAs = async (ws: Workspace, path: string, text: string) => {
    unanswered = { path, text }
    const saved = await refusable(ws.save(path, Buffer.from(text), { author: ANN }))
    unanswered = undefined
    if (!saved) return undefined
    assert.equal(readFileSync(join(worktree, path), 'utf8'), text, 'a save is in the worktree')
    if (saved.commit) assert.equal(git('show', `main:${path}`), text.trimEnd(), 'a save is on main')
    return saved
  }

  const saveSecret = async (ws: Workspace, path: string) => {
    const text = `secret ${count++}\n`
    const before = secrets.get(path)
    secrets.delete(path)
    const saved = await saveAs(ws, path, text)
    // A merged job can have changed main's rules: then the person has committed the file.
    if (saved ? saved.ignored : before !== undefined) secrets.set(path, saved ? text : before!)
  }

  async function runJob(ws: Workspace, step: JobStep): Promise<void> {
    const on = step.continues ? jobs.findLast(({ state }) => state === 'held') : undefined
    const job: Job = {
      mark: `job${jobs.length}.`,
      session: on?.session ?? jobs.length,
      state: 'unknown',
      on
    }
    jobs.push(job)
    const name = branch(job.session + 1)
    const from = on?.commit === undefined ? ('main' as const) : { commit: on.commit }
    await ws.startJob(name, { job: job.mark, from })
    for (const one of step.acts) act(worktree, one, job.mark)
    await ws.changes()
    const lines = new Map<string, string>()
    for (const path of step.saves) {
      const text = `Ann ${count++}\n`
      const saved = await saveAs(ws, path, text)
      if (saved?.commit) lines.set(path, text)
    }
    for (const path of step.secrets) await saveSecret(ws, path)
    for (const one of step.actsAfter) act(worktree, one, job.mark)
    await ws.changes()
    if (step.end === 'abandon') {
      job.state = 'none'
      await ws.returnToMain()
      return
    }
    const trailers = { 'Job-Id': job.mark }
    const commit = await ws.commitJob({ subject: job.mark, trailers, author: KILO })
    job.state = 'none'
    if (commit) {
      job.commit = commit
      job.base = await ws.baseOf(commit)
      job.state = 'held'
      if (step.end === 'merge') await merge(ws, job)
    }
    await ws.returnToMain()
    if ((job.state as State) !== 'merged') return
    for (const [path, text] of lines) {
      const { status, now } = fileOnMain(path)
      assert.ok(
        status === 'there' && now === text.trimEnd(),
        `the save of ${path} is on main after the merge`
      )
    }
  }

  function fileOnMain(path: string) {
    try {
      return { status: 'there', now: git('show', `main:${path}`) } as const
    } catch {
      return { status: 'gone', now: '' } as const
    }
  }

  async function merge(ws: Workspace, job: Job): Promise<void> {
    const { kind } = await ws.mergeJob(job.commit!, MERGE)
    if (kind === 'conflict') job.state = 'conflict'
    else
      for (let one: Job | undefined = job; one; one = one.on)
        if (one.state !== 'reverted') one.state = 'merged'
  }

  async function review(ws: Workspace, kind: 'merge' | 'discard' | 'revert', which: number) {
    const fitting = jobs.filter(
      ({ state, commit }) =>
        commit &&
        (kind === 'revert' ? state === 'merged' : state === 'held' || state === 'conflict')
    )
    const job = fitting[which % Math.max(fitting.length, 1)]
    if (!job) return
    if (kind === 'merge') return merge(ws, job)
    if (kind === 'discard') {
      // Other work of the conversation stands on it: that is for the review of jobs to decide.
      if (jobs.some(({ on, state }) => on === job && state !== 'discarded')) return
      job.state = 'discarded'
      await ws.dropWork({ branch: branch(job.session + 1), later: [] })
      return
    }
    const { kind: reverted } = await ws.revert(job.base!, job.commit!, MERGE)
    if (reverted !== 'conflict') job.state = 'reverted'
  }

  async function play(ws: Workspace, step: Step): Promise<void> {
    switch (step.kind) {
      case 'save':
        return void (await saveAs(ws, step.path, `Ann ${count++}\n`))
      case 'remove':
        return void (await refusable(ws.remove(step.path, { author: ANN })))
      case 'tool':
        return writeAsTool(step.path)
      case 'secret':
        return saveSecret(ws, step.path)
      case 'ignore':
        return void (await saveAs(ws, '.gitignore', step.rules))
      case 'job':
        return runJob(ws, step)
      case 'merge':
      case 'discard':
      case 'revert':
        return review(ws, step.kind, step.which)
    }
  }

  function writeAsTool(path: string): void {
    try {
      if (lstatSync(join(worktree, path), { throwIfNoEntry: false })?.isFile() === false) return
      mkdirSync(dirname(join(worktree, path)), { recursive: true })
      writeFileSync(join(worktree, path), `tool ${count++}\n`)
    } catch {
      // The tree does not have that folder now.
    }
  }

  /** What the next start of the server does. */
  /** What `recoverEdits` does with a save that reached the worktree. */
  async function finishSave(ws: Workspace): Promise<void> {
    const save = unanswered
    unanswered = undefined
    if (!save || textOf(save.path) !== save.text) return
    const { ignored } = await ws.save(save.path, Buffer.from(save.text), { author: ANN })
    if (!ignored) secrets.delete(save.path)
  }

  /** As the start of a server: interrupted saves are finished first, then the interrupted job. */
  async function recover(): Promise<void> {
    const ws = openUntilCrash(host, projectsDir, id)
    await finishSave(ws)
    const job = jobs.at(-1)
    const trailers = { 'Job-Id': job?.mark ?? 'none' }
    const found = await ws.rescue(branch((job?.session ?? 0) + 1), {
      subject: 'Interrupted',
      trailers,
      author: KILO
    })
    await ws.returnToMain()
    if (!job || job.state !== 'unknown' || !found) return
    job.commit = found
    job.base = await ws.baseOf(found)
    job.state = 'held'
  }

  async function check(): Promise<void> {
    const before = main
    main = git('rev-parse', 'main')
    git('merge-base', '--is-ancestor', before, main)
    for (const [path, text] of secrets) {
      assert.ok(existsSync(join(worktree, path)), `${path} is there`)
      assert.equal(readFileSync(join(worktree, path), 'utf8'), text, `${path} is as it was`)
    }
    const committed = git('ls-tree', '-r', '--name-only', 'main').split('\n')
    assert.deepEqual(
      committed.filter((path) => secrets.has(path)),
      [],
      'no secret is committed'
    )
    for (const { mark, state } of jobs) {
      if (state === 'merged' || state === 'reverted' || state === 'unknown') continue
      assert.equal(grepMain(mark), '', `main has nothing of ${mark} which is ${state}`)
    }
    const status = git(
      '--work-tree',
      worktree,
      'status',
      '--porcelain',
      '--untracked-files=no',
      '--no-renames'
    )
    const changed = status.split('\n').filter((line) => line !== '' && !written.has(line.slice(3)))
    assert.deepEqual(changed, [], 'the worktree has the files of main')
    assert.equal(readFileSync(join(dir, 'repo', 'HEAD'), 'utf8').trim(), 'ref: refs/heads/main')
    assert.ok(!existsSync(join(dir, 'moving')))
    await openUntilCrash(host, projectsDir, id).list()
  }

  const grepMain = (mark: string) => {
    try {
      return git('grep', '-F', '-l', mark, 'main')
    } catch {
      return ''
    }
  }
  /** What tools wrote, and saves that a crash interrupted, which the next start of the server finishes. */
  const written = new Set<string>()
  function note(step: Step, crashed: boolean): void {
    if (step.kind === 'tool') written.add(step.path)
    if (step.kind === 'job' && !crashed) written.clear()
    if (!crashed) return
    if (step.kind === 'save' || step.kind === 'remove') written.add(step.path)
    if (step.kind === 'ignore') written.add('.gitignore')
    if (step.kind === 'job') for (const path of step.saves) written.add(path)
  }

  return {
    async step(step: Step): Promise<void> {
      const ws = openUntilCrash(host, projectsDir, id, step.crash)
      const before = new Set(secrets.keys())
      let crashed = false
      try {
        await play(ws, step)
      } catch (error) {
        if (!isCrash(error)) throw error
        crashed = true
        for (const path of before) secrets.set(path, textOf(path) ?? '')
        await recover()
        // A save that was not answered may have happened or not.
        for (const path of secrets.keys()) {
          const file = join(worktree, path)
          if (existsSync(file)) secrets.set(path, readFileSync(file, 'utf8'))
          else assert.fail(`${path} is gone after a crash`)
        }
      }
      note(step, crashed)
      await check()
    },

    /** After everything, a job can run and main is sound. */
    async end(): Promise<void> {
      await runJob(openUntilCrash(host, projectsDir, id), {
        kind: 'job',
        acts: [{ kind: 'write', path: 'last' }],
        saves: [],
        secrets: [],
        actsAfter: [],
        end: 'merge',
        continues: false,
        crash: Infinity
      })
      assert.equal(jobs.at(-1)?.state, 'merged')
      git('fsck', '--strict', '--no-dangling')
    }
  }
}

async function refusable<T>(doing: Promise<T>): Promise<T | undefined> {
  try {
    return await doing
  } catch (error) {
    if (error instanceof AppError && REFUSALS.has(error.code)) return undefined
    throw error
  }
}
