import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Test } from 'tap'
import { systemClock } from '#kernel/clock.ts'
import { AppError } from '#kernel/errors.ts'
import { projectId } from '#kernel/ids.ts'
import { silentLog } from '#kernel/log.ts'
import { usableBubblewrap } from '../../helpers/rooms/usable-bubblewrap.ts'
import { createWorkspaces, KILO, type CloneRules, type WorkspaceSource } from '#workspaces'

export const ANN = { name: 'Ann Ä', email: 'ann@example.com' }

/** The branch name of session number `n`. */
export const branch = (n: number) => `ai/session-${String(n).padStart(26, '0')}`

/** With git in its jail where one can be used, unless `jailed` is false. */
export const newWorkspaces = (projectsDir: string, clone: CloneRules = {}, jailed = true) =>
  createWorkspaces({
    projectsDir,
    log: silentLog,
    clock: systemClock,
    clone,
    jail: jailed && usableBubblewrap ? { bubblewrap: usableBubblewrap } : undefined
  })

export function folder(t: Pick<Test, 'teardown'>): string {
  const dir = mkdtempSync(join(tmpdir(), 'kilowatt-workspaces-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

/** Creates a project, and helpers that inspect it without the code under test. */
export async function newProject(
  t: Pick<Test, 'teardown'>,
  files: Record<string, string> = {},
  source: WorkspaceSource = {},
  { jailed = true }: { readonly jailed?: boolean } = {}
) {
  const projectsDir = folder(t)
  const workspaces = newWorkspaces(projectsDir, {}, jailed)
  const id = projectId.create()
  const list = Object.entries(files).map(([path, content]) => ({ path, content }))
  const { head } = await workspaces.create(id, { files: list, ...source }, ANN)
  const ws = workspaces.open(id)
  const dir = join(projectsDir, id)
  const repo = join(dir, 'repo')
  const at = (path: string) => join(ws.worktree, path)

  return {
    projectsDir,
    workspaces,
    id,
    head,
    ws,
    dir,
    repo,
    at,
    write(path: string, content: string | Buffer) {
      mkdirSync(dirname(at(path)), { recursive: true })
      writeFileSync(at(path), content)
    },
    text: (path: string) => readFileSync(at(path), 'utf8'),
    git: (...args: string[]) =>
      execFileSync('git', ['--git-dir', repo, ...args], { encoding: 'utf8' }).trimEnd(),
    show: (ref: string, path: string) =>
      execFileSync('git', ['--git-dir', repo, 'show', `${ref}:${path}`], { encoding: 'utf8' }),
    /** HEAD's branch, and the output of a plain `git status`. */
    headStatus: () => ({
      head: readFileSync(join(repo, 'HEAD'), 'utf8').trim().replace('ref: refs/heads/', ''),
      dirty: execFileSync(
        'git',
        ['--git-dir', repo, '--work-tree', ws.worktree, 'status', '--porcelain', '-uall'],
        { encoding: 'utf8' }
      )
    })
  }
}

export type Project = Awaited<ReturnType<typeof newProject>>

/** Runs a job from its start to its commit, with an agent that writes these files. */
export async function work(
  { ws, write }: Project,
  on: string,
  files: Record<string, string>,
  job = 'job_1'
) {
  const { base } = await ws.startJob(on, job === undefined ? {} : { job })
  for (const [path, content] of Object.entries(files)) write(path, content)
  const trailers = { 'Job-Id': job, Model: 'a/b' }
  const commit = await ws.commitJob({ subject: 'Agent work', trailers, author: KILO })
  return { base, commit: commit ?? '' }
}

export const MERGE = { author: ANN, message: 'Merge the job' }

/** The AppError that this promise rejects with. */
export async function refusal(doing: Promise<unknown>): Promise<AppError> {
  const error = await doing.then(
    () => new Error('expected a rejection'),
    (error: unknown) => error
  )
  if (error instanceof AppError) return error
  throw error
}
