import { mkdtemp, rm } from 'node:fs/promises'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Test } from 'tap'
import { inTransaction, type Db } from '#db'
import { createEventLog, createFeed } from '#events'
import { systemClock as clock } from '#kernel/clock.ts'
import type { MergeState } from '#kernel/frames.ts'
import {
  jobId,
  projectId,
  userId,
  type JobId,
  type ProjectId,
  type SessionId
} from '#kernel/ids.ts'
import { silentLog as log } from '#kernel/log.ts'
import { credits } from '#kernel/money.ts'
import { insertProject } from '#projects'
import { createWorkspaces, KILO } from '#workspaces'
import { createEmbeddedBus } from '../../../src/adapters/embedded/bus.ts'
import { carryOutReview, tryReview } from '../../../src/jobs/manage/carry-out-review.ts'
import { REVIEWS } from '../../../src/jobs/manage/review-policy.ts'
import { reviewJob } from '../../../src/jobs/manage/review-job.ts'
import type { ProjectCommands } from '../../../src/jobs/job-deps.ts'
import type { ReviewOptions } from '../../../src/jobs/job-schemas.ts'
import { readHeldJob, readJob } from '../../../src/jobs/stores/job-read-store.ts'
import { insertJob, updateBasedOn } from '../../../src/jobs/stores/job-store.ts'
import { claimReview, hasWork, type ReviewVerb } from '../../../src/jobs/stores/review-store.ts'
import { insertSession } from '../../../src/jobs/stores/session-store.ts'

/** Files by path; null deletes. */
type Files = Readonly<Record<string, string | null>>

/** Real workspaces and job rows, without an agent: jobs write the files that the test gives. */
export async function givenReviews(t: Test, db: Db) {
  const projectsDir = await mkdtemp(join(tmpdir(), 'kilowatt-reviews-'))
  t.teardown(() => rm(projectsDir, { recursive: true, force: true }))
  const workspaces = createWorkspaces({ projectsDir, clock, log })
  t.teardown(() => workspaces[Symbol.dispose]())
  const bus = createEmbeddedBus()
  const deps = { db, workspaces, events: createEventLog(db, bus), log }
  const by = userId.create()
  await db.insertInto('users').values({ id: by, name: null }).execute()

  const insert = async (project: ProjectId, session: SessionId) => {
    const row = {
      id: jobId.create(),
      projectId: project,
      userId: by,
      sessionId: session,
      text: 'work',
      mode: 'code',
      model: 'a/b',
      currentFilePath: null,
      review: 'hold',
      maxCredits: null,
      reserved: credits(1)
    } as const
    return insertJob(db, row)
  }

  /** A project with one conversation. */
  const conversation = async (files: Readonly<Record<string, string>> = { 'a.txt': 'one\n' }) => {
    const id = projectId.create()
    const list = Object.entries(files).map(([path, content]) => ({ path, content }))
    await workspaces.create(id, { files: list }, KILO)
    await insertProject(db, { id, userId: by, name: 'test', review: 'hold' })
    const session = await insertSession(db, id, 'test')
    const workspace = workspaces.open(id)
    const branch = `ai/session-${session.id.slice('ses_'.length)}`

    /** Runs a job as the worker does, from what the conversation holds, and leaves its work in this state. */
    const work = async (changes: Files, merge: MergeState = 'held') => {
      const row = await insert(id, session.id)
      const below = await readHeldJob(db, row)
      if (below) await updateBasedOn(db, row.id, below.id)
      const from = below ? { commit: below.commit! } : ('main' as const)
      await workspace.startJob(branch, { from })
      for (const [path, content] of Object.entries(changes)) {
        const file = join(workspace.worktree, path)
        if (content === null) rmSync(file)
        else {
          mkdirSync(dirname(file), { recursive: true })
          writeFileSync(file, content)
        }
      }
      const trailers = { 'Job-Id': row.id }
      const commit = await workspace.commitJob({ subject: 'work', trailers, author: KILO })
      const base = await workspace.baseOf(commit!)
      if (merge === 'merged') {
        await workspace.mergeJob(commit!, { author: KILO, message: 'Merge' })
      }
      await workspace.returnToMain()
      await db
        .updateTable('jobs')
        .set({ status: 'succeeded', charged: '0', refunded: row.reserved })
        .set({ branch, base, commit, merge })
        .where('id', '=', row.id)
        .execute()
      return row.id
    }
    /** A job that has started from this one's work, and runs. */
    const runOn = async (below: JobId) => {
      const row = await insert(id, session.id)
      await updateBasedOn(db, row.id, below)
      await db.updateTable('jobs').set({ status: 'running' }).where('id', '=', row.id).execute()
      return row.id
    }
    const filesOfMain = async () => (await workspace.list('main')).files.map(({ path }) => path)
    const lockPath = join(projectsDir, id, 'lock')
    return { project: id, branch, workspace, work, runOn, filesOfMain, lockPath }
  }

  /** A conversation with one job, whose work is `held`, or merged where the review is of merged work. */
  const job = async (verb: ReviewVerb) => {
    const given = await conversation()
    const id = await given.work({ 'b.txt': 'two\n' }, verb === 'revert' ? 'merged' : 'held')
    return { id, ...given }
  }

  const row = async (id: JobId) => (await readJob(db, id))!
  const claim = async (verb: ReviewVerb, ...ids: [JobId, ...JobId[]]) => {
    const rows = await Promise.all(ids.map(row))
    const steps = rows.filter(hasWork).map((job) => ({ job, to: REVIEWS[verb].to }))
    return inTransaction(db, (tx) => claimReview(tx, { verb, by }, steps, clock.now()))
  }
  const stateOf = async (id: JobId) => (await row(id)).merge
  const statesOf = (...ids: JobId[]) => Promise.all(ids.map(stateOf))
  const changes = async (id: ProjectId) => {
    const page = { after: 0, types: ['project:changed'], limit: 100 }
    return (await createFeed(db, bus).page(id, page)).map(({ data }) => data)
  }
  const review = (
    verb: ReviewVerb,
    id: JobId,
    options: ReviewOptions = {},
    commands: Partial<ProjectCommands> = {}
  ) => {
    const inProcess = {
      carryOutReview: (claimed) => carryOutReview(deps, claimed),
      tryReview: (project, work) => tryReview(deps, project, work),
      ...commands
    } as ProjectCommands
    return reviewJob({ db, clock, commands: inProcess }, verb, by, id, options)
  }
  return { by, deps, conversation, job, claim, row, stateOf, statesOf, changes, review }
}
