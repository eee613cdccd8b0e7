import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Db } from '#db'
import { createEditing } from '#editing'
import { createEventLog, createFeed } from '#events'
import { systemClock as clock } from '#kernel/clock.ts'
import { projectId, reserveUlid, userId, type ProjectId } from '#kernel/ids.ts'
import { silentLog as log } from '#kernel/log.ts'
import { insertProject } from '#projects'
import { blobId, createWorkspaces } from '#workspaces'
import { createEmbeddedBus } from '../../../src/adapters/embedded/bus.ts'
import { authorOf } from '../../../src/editing/author.ts'
import { insertPendingEdit, readPendingEdits } from '../../../src/editing/pending-edit-store.ts'
import { writeFile, unlink } from 'node:fs/promises'
import { openTestDatabase } from '../../helpers/database.ts'
import { watchTransactions } from '../../helpers/databases/transactions.ts'

watchTransactions()

async function givenEditing(t: Test, db: Db) {
  const projectsDir = await mkdtemp(join(tmpdir(), 'kilowatt-editing-'))
  t.teardown(() => rm(projectsDir, { recursive: true, force: true }))
  const workspaces = createWorkspaces({ projectsDir, clock, log })
  t.teardown(() => workspaces[Symbol.dispose]())
  const bus = createEmbeddedBus()
  const events = createEventLog(db, bus)
  const editing = createEditing({ db, events, workspaces, log })
  const by = userId.create()
  await db.insertInto('users').values({ id: by, name: null }).execute()

  return {
    by,
    editing,
    workspaces,
    folders: () => readdir(projectsDir),
    async project() {
      const files = [{ path: 'a.txt', content: 'one' }]
      const made = await editing.createProject(by, { name: 'test', files }, reserveUlid())
      return made.project.id
    },
    async changes(id: ProjectId) {
      const page = { after: 0, types: ['file:changed'], limit: 100 }
      const frames = await createFeed(db, bus).page(id, page)
      return frames.map(({ data }) => data as Record<string, unknown>)
    }
  }
}

t.test('editing', async (t) => {
  const db = await openTestDatabase(t)
  const { by, editing, workspaces, folders, project, changes } = await givenEditing(t, db)
  const pending = async () => (await readPendingEdits(db)).length

  await t.test('writes an event with each change, and keeps no record of it', async (t) => {
    const id = await project()
    const saved = await editing.save(by, id, 'a.txt', { content: Buffer.from('two') })
    const removed = await editing.remove(by, id, 'a.txt', {})
    t.same(await changes(id), [
      { path: 'a.txt', sha: blobId(Buffer.from('two')), commit: saved.commit, by },
      { path: 'a.txt', sha: null, commit: removed.commit, by }
    ])
    t.equal(await pending(), 0)
  })

  await t.test('keeps no record of an edit that is refused', async (t) => {
    const id = await project()
    const stale = editing.save(by, id, 'a.txt', { content: Buffer.from('x'), ifMatch: 'none' })
    await t.rejects(stale, { code: 'file_changed' })
    await t.rejects(editing.remove(by, id, 'missing.txt', {}), { code: 'not_found' })
    const template = { name: 'x', template: 'missing' }
    await t.rejects(editing.createProject(by, template, reserveUlid()), { code: 'invalid_request' })
    t.same(await changes(id), [])
    t.equal(await pending(), 0)
  })

  /** Where a crash may interrupt an edit of a file, and what is there after the next start. */
  const content = Buffer.from('saved')
  const author = authorOf(by)
  const crashes = [
    ['save', 'before the file is written', async () => {}, 0, 'one'],
    [
      'save',
      'between the file and its commit',
      async (id: ProjectId) =>
        writeFile(join(workspaces.open(id).worktree, 'a.txt'), content.toString()),
      1,
      'saved'
    ],
    [
      'save',
      'between the commit and its event',
      async (id: ProjectId) => workspaces.open(id).save('a.txt', content, { author }),
      1,
      'saved'
    ],
    ['remove', 'before the file is removed', async () => {}, 0, 'one'],
    [
      'remove',
      'between the file and its commit',
      async (id: ProjectId) => unlink(join(workspaces.open(id).worktree, 'a.txt')),
      1,
      undefined
    ],
    [
      'remove',
      'between the commit and its event',
      async (id: ProjectId) => workspaces.open(id).remove('a.txt', { author }),
      1,
      undefined
    ]
  ] as const
  for (const [kind, where, change, events, text] of crashes) {
    await t.test(`recovers a ${kind} that a crash interrupts ${where}`, async (t) => {
      const id = await project()
      const workspace = workspaces.open(id)
      const sha = kind === 'save' ? blobId(content) : null
      const record = { projectId: id, userId: by, path: 'a.txt', head: await workspace.head() }
      await insertPendingEdit(db, { ...record, kind, sha })
      await change(id)

      await editing.recover()
      await editing.recover()
      const found = await changes(id)
      t.equal(found.length, events, 'one event for a change, none without')
      if (events > 0) t.match(found, [{ path: 'a.txt', sha, commit: await workspace.head(), by }])
      const { files } = await workspace.list('main')
      const expected = text === undefined ? [] : [blobId(Buffer.from(text))]
      t.same(
        files.map((file) => file.sha),
        expected,
        'main has the change that was reported to the client, or that its retry finds'
      )
      t.equal(await pending(), 0)
    })
  }

  await t.test('removes the workspace of a project that a crash left without a row', async (t) => {
    const id = projectId.create()
    await insertPendingEdit(db, { kind: 'create', projectId: id, userId: by })
    await workspaces.create(id, {}, author)
    t.ok((await folders()).includes(id))
    await editing.recover()
    t.notOk((await folders()).includes(id))
    t.equal(await pending(), 0)
  })

  await t.test('keeps the workspace of a project that has its row', async (t) => {
    const id = projectId.create()
    await insertPendingEdit(db, { kind: 'create', projectId: id, userId: by })
    await workspaces.create(id, {}, author)
    await insertProject(db, { id, userId: by, name: 'kept', review: 'merge' })
    await editing.recover()
    t.ok((await folders()).includes(id))
    t.equal(await pending(), 0)
  })
})
