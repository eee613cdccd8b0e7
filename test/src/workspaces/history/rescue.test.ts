import { existsSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { KILO } from '#workspaces'
import { ANN, branch, MERGE, newProject, newWorkspaces, work, type Project } from '../kit.ts'

const RESCUE = { subject: 'Interrupted', trailers: { 'Job-Id': 'job_1' }, author: KILO }

/** The same project as another process sees it after the first one died. */
const reopened = ({ projectsDir, id }: Project) => newWorkspaces(projectsDir).open(id)

t.test('commits the work after a crash and returns the worktree to main', async (t) => {
  const project = await newProject(t, { a: 'a\n' })
  const { ws, write, git, show, head, headStatus, text } = project
  await ws.startJob(branch(1))
  write('a', 'half\n')
  write('new', 'new\n')

  const after = reopened(project)
  const commit = await after.rescue(branch(1), RESCUE)
  t.equal(git('rev-parse', branch(1)), commit)
  t.equal(show(branch(1), 'a'), 'half\n')
  t.equal(show(branch(1), 'new'), 'new\n')
  t.equal(git('log', '-1', '--format=%an|%s', branch(1)), 'Kilo|Interrupted')
  t.same(headStatus(), { head: 'main', dirty: '' })
  t.equal(text('a'), 'a\n')
  t.equal(await after.head(), head)

  t.equal(await after.rescue(branch(1), RESCUE), commit, 'a second rescue returns the same commit')
  t.equal(await reopened(project).rescue(branch(1), RESCUE), commit)
  t.equal(git('rev-list', '--count', `main..${branch(1)}`), '1')
  const other = { ...RESCUE, trailers: { 'Job-Id': 'job_2' } }
  t.equal(await after.rescue(branch(1), other), null, "but it is not another job's")
})

t.test('recovers from a crash at any step', async (t) => {
  for (const [says, upTo, found] of [
    ['before anything was written', async () => {}, null],
    [
      'after the commit',
      async ({ ws, write }) => {
        write('a', 'agent\n')
        await ws.commitJob(RESCUE)
      },
      'agent\n'
    ],
    [
      'between the index and the commit',
      async ({ write, git, ws }) => {
        write('a', 'agent\n')
        git('--work-tree', ws.worktree, 'add', '-A', ws.worktree)
      },
      'agent\n'
    ],
    [
      'after the merge',
      async ({ ws, write }) => {
        write('a', 'agent\n')
        await ws.commitJob(RESCUE)
        await ws.mergeJob(branch(1), MERGE)
      },
      'agent\n'
    ],
    [
      'with locks that a killed git left',
      async ({ write, repo }) => {
        write('a', 'agent\n')
        writeFileSync(join(repo, 'index.lock'), '')
        writeFileSync(join(repo, 'refs/heads/main.lock'), '')
      },
      'agent\n'
    ],
    [
      'with a lock of its own, by a process that is dead',
      async ({ write, dir }) => {
        write('a', 'agent\n')
        writeFileSync(join(dir, 'lock'), `${hostname()} 4194304 12345`)
      },
      'agent\n'
    ],
    [
      'with a lock whose process id belongs to another process by now',
      async ({ write, dir }) => {
        write('a', 'agent\n')
        writeFileSync(join(dir, 'lock'), `${hostname()} ${process.pid} 1`)
      },
      'agent\n'
    ],
    [
      'with a lock file that is still empty',
      async ({ write, dir }) => {
        write('a', 'agent\n')
        writeFileSync(join(dir, 'lock'), '')
        utimesSync(join(dir, 'lock'), 1, 1)
      },
      'agent\n'
    ]
  ] as [string, (project: Project) => Promise<void>, string | null][]) {
    t.test(says, async (t) => {
      const project = await newProject(t, { a: 'a\n', b: 'b\n' })
      await project.ws.startJob(branch(1))
      await upTo(project)
      const after = reopened(project)
      const commit = await after.rescue(branch(1), RESCUE)
      if (found === null) t.equal(commit, null)
      else t.equal(project.show(commit ?? '', 'a'), found)
      t.same(project.headStatus(), { head: 'main', dirty: '' })
      await after.save('b', Buffer.from('Ann\n'), { author: ANN })
      t.match(await after.startJob(branch(2)), { base: await after.head() })
    })
  }
})

t.test('finishes an interrupted checkout and commits none of its files', async (t) => {
  t.test('of main', async (t) => {
    const project = await newProject(t, { a: 'a\n', b: 'b\n' })
    const { dir, write, git, headStatus } = project
    const { commit } = await work(project, branch(1), { a: 'agent\n', b: 'agent\n', c: 'agent\n' })
    // HEAD is still on the branch, one file of main is there already.
    writeFileSync(join(dir, 'moving'), 'refs/heads/main')
    write('a', 'a\n')
    const after = reopened(project)
    t.equal(await after.rescue(branch(1), RESCUE), commit)
    t.equal(git('rev-parse', branch(1)), commit, 'the branch did not lose what main does not have')
    t.same(headStatus(), { head: 'main', dirty: '' })
  })

  t.test('of held work', async (t) => {
    const project = await newProject(t, { a: 'a\n' })
    const { ws, dir, write, headStatus } = project
    await work(project, branch(1), { a: 'agent\n', c: 'agent\n' })
    await ws.returnToMain()
    const main = await ws.head()
    writeFileSync(join(dir, 'moving'), `refs/heads/${branch(1)}`)
    write('a', 'agent\n')
    const after = reopened(project)
    await after.rescue(branch(1), RESCUE)
    t.equal(await after.head(), main, 'main did not get what is held')
    t.same(headStatus(), { head: 'main', dirty: '' })
  })

  t.test('of a merge that moved main but wrote no files', async (t) => {
    const project = await newProject(t, { a: 'a\n' })
    const { ws, dir, git, headStatus, text } = project
    const { commit } = await work(project, branch(1), { a: 'agent\n' })
    await ws.returnToMain()
    writeFileSync(join(dir, 'moving'), 'refs/heads/main')
    git('update-ref', 'refs/heads/main', commit)
    const after = reopened(project)
    t.same(
      (await after.list()).files.map(({ size }) => size),
      [6]
    )
    t.equal(await after.head(), commit)
    t.same(headStatus(), { head: 'main', dirty: '' })
    t.equal(text('a'), 'agent\n')
  })
})

t.test('commits at the next attempt after an interrupted commit', async (t) => {
  const { ws, write, repo, show } = await newProject(t, { a: 'a\n' })
  await ws.startJob(branch(1))
  write('a', 'agent\n')
  // The ref cannot be written: a file stands where its folder would be.
  writeFileSync(join(repo, 'refs/heads/ai'), 'x')
  await t.rejects(ws.commitJob(RESCUE), /refs\/heads\/ai/)
  rmSync(join(repo, 'refs/heads/ai'))
  t.ok(await ws.commitJob(RESCUE))
  t.equal(show(branch(1), 'a'), 'agent\n')
})

t.test('starts a job after another that was never rescued', async (t) => {
  const project = await newProject(t, { a: 'a\n' })
  const { ws, write, show, head } = project
  await ws.startJob(branch(1))
  write('a', 'left\n')
  const after = reopened(project)
  t.same(await after.startJob(branch(2)), { base: head })
  t.equal(show(branch(1), 'a'), 'left\n')
  t.same(await after.changes(), [])
})

t.test(
  "commits a person's changes on main as theirs, not as those of the crashed job",
  async (t) => {
    const project = await newProject(t, { a: 'a\n' })
    const { write, text, dir } = project
    write('a', 'by hand\n')
    t.equal(await reopened(project).rescue(branch(1), RESCUE), null)
    t.equal(text('a'), 'by hand\n')
    t.notOk(existsSync(join(dir, 'lock')))
    t.match(readFileSync(join(dir, 'repo', 'HEAD'), 'utf8'), 'refs/heads/main')
  }
)
