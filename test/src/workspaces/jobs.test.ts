import { existsSync, readFileSync, symlinkSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { KILO } from '#workspaces'
import { ANN, branch, MERGE, newProject, refusal, work } from './kit.ts'

const COMMIT = { subject: 'Work', trailers: { 'Job-Id': 'job_1' }, author: KILO }

t.test('opens a branch for a job, commits its work once, and fast-forwards main', async (t) => {
  const project = await newProject(t, { 'a.txt': 'a\n', 'b.txt': 'b\n' })
  const { ws, write, git, at, head, headStatus, text } = project
  t.same(await ws.startJob(branch(1)), { base: head })
  t.equal(headStatus().head, branch(1))

  write('a.txt', 'changed\n')
  write('new/ü.txt', 'new\n')
  unlinkSync(at('b.txt'))
  symlinkSync('a.txt', at('link'))
  t.same(await ws.changes(), [
    { path: 'a.txt', status: 'modified', sha: '5ea2ed416fbd4a4cbe227b75fe255dd7fa6bd4d6' },
    { path: 'b.txt', status: 'deleted', sha: null },
    { path: 'link', status: 'added', sha: '8d14cbf983b3fad683171c9418998d9f68340823' },
    { path: 'new/ü.txt', status: 'added', sha: '3e757656cf36eca53338e520d134963a44f793f8' }
  ])

  const trailers = { 'Job-Id': 'job_1', Model: 'a/b\nCredits: 0', Credits: '1.5' }
  const commit = await ws.commitJob({ subject: 'Do this\nand that', trailers, author: KILO })
  t.equal(git('rev-parse', branch(1)), commit)
  t.equal(
    git('log', '-1', '--format=%an|%ae|%cn|%s', branch(1)),
    'Kilo|kilo@kilowatt.invalid|Kilowatt|Do this and that'
  )
  t.equal(
    git(
      'log',
      '-1',
      '--format=%(trailers:key=Model,valueonly)%(trailers:key=Credits,valueonly)',
      branch(1)
    ).trim(),
    'a/b Credits: 0\n1.5'
  )
  t.same(await ws.changes(), [])
  t.equal(await ws.commitJob(COMMIT), null, 'nothing new, no commit')
  t.equal(await ws.baseOf(commit ?? ''), head)

  t.same(await ws.mergeJob(branch(1), { ...MERGE, dryRun: true }), {
    kind: 'merged',
    commit: head
  })
  t.equal(await ws.head(), head, 'a dry run changes nothing')
  t.same(await ws.mergeJob(branch(1), MERGE), { kind: 'merged', commit })
  t.equal(await ws.head(), commit)
  await ws.returnToMain()
  t.same(headStatus(), { head: 'main', dirty: '' })
  t.equal(text('a.txt'), 'changed\n')
  t.same(await ws.mergeJob(branch(1), MERGE), { kind: 'nothing' })
  t.equal(git('fsck', '--strict', '--no-dangling'), '')
})

t.test('leaves no ref after a job that changed nothing', async (t) => {
  const { ws, git, head, headStatus } = await newProject(t, { a: 'a' })
  await ws.startJob(branch(1))
  t.same(await ws.changes(), [])
  t.equal(await ws.commitJob(COMMIT), null)
  t.same(await ws.mergeJob(branch(1), MERGE), { kind: 'nothing' })
  await ws.returnToMain()
  t.same(headStatus(), { head: 'main', dirty: '' })
  t.equal(await ws.head(), head)
  t.equal(git('for-each-ref', '--format=%(refname)'), 'refs/heads/main')
})

t.test('commits a file replaced by a folder, and a folder replaced by a file', async (t) => {
  const project = await newProject(t, { file: 'f', 'dir/x': 'x' })
  const { ws, at, write, git } = project
  await ws.startJob(branch(1))
  unlinkSync(at('file'))
  unlinkSync(at('dir/x'))
  ;(await import('node:fs')).rmdirSync(at('dir'))
  write('file/y', 'y')
  write('dir', 'd')
  t.same(
    (await ws.changes()).map(({ path, status }) => [path, status]),
    [
      ['dir', 'added'],
      ['dir/x', 'deleted'],
      ['file', 'deleted'],
      ['file/y', 'added']
    ]
  )
  // A person saves under the agent's new folder, where main still has a file.
  await ws.save('file/z', Buffer.from('z'), { author: ANN })
  t.same(
    (await ws.list('main')).files.map(({ path }) => path),
    ['dir/x', 'file/z']
  )
  await ws.commitJob(COMMIT)
  t.match(await ws.mergeJob(branch(1), MERGE), { kind: 'merged' })
  t.equal(git('ls-tree', '-r', '--name-only', 'main'), 'dir\nfile/y\nfile/z')
})

t.test("commits people's changes before a job, and not as the job's", async (t) => {
  const { ws, write, git, show, head, headStatus } = await newProject(t, {
    '.gitignore': 'tmp\n'
  })
  write('left.txt', 'by hand\n')
  write('tmp', 'ignored\n')
  const { base } = await ws.startJob(branch(1))
  t.not(base, head)
  t.equal(base, await ws.head())
  t.equal(
    git('log', '-1', '--format=%an|%s', 'main'),
    'Kilowatt|Keep changes that were made in the worktree'
  )
  t.equal(show('main', 'left.txt'), 'by hand\n')
  t.same(await ws.changes(), [])
  await ws.returnToMain()
  t.same(headStatus(), { head: 'main', dirty: '' })
})

t.test('keeps held work on its branch and returns the worktree to main', async (t) => {
  const project = await newProject(t, { a: 'a\n', b: 'b\n', '.gitignore': 'cache\n' })
  const { ws, at, write, head, headStatus, text } = project
  const { commit } = await work(project, branch(1), { a: 'held\n', 'deep/new': 'n' })
  write('cache', 'ignored files stay')
  await ws.returnToMain()
  t.same(headStatus(), { head: 'main', dirty: '' })
  t.equal(text('a'), 'a\n')
  t.notOk(existsSync(at('deep')))
  t.equal(text('cache'), 'ignored files stay')
  t.equal(await ws.head(), head)
  t.same((await ws.list(branch(1))).head, commit)

  t.test('merges it later, into the worktree too', async (t) => {
    await ws.save('b', Buffer.from('by Ann\n'), { author: ANN })
    write('uncommitted', 'left lying\n')
    const merged = await ws.mergeJob(branch(1), MERGE)
    t.match(merged, { kind: 'merged', commit: await ws.head() })
    await ws.returnToMain()
    t.same(headStatus(), { head: 'main', dirty: '' })
    t.same(
      [text('a'), text('b'), text('deep/new'), text('uncommitted')],
      ['held\n', 'by Ann\n', 'n', 'left lying\n']
    )
    t.equal(text('cache'), 'ignored files stay')
  })
})

t.test('deletes uncommitted work of an abandoned job, except ignored files', async (t) => {
  const { ws, write, at, headStatus, text } = await newProject(t, {
    a: 'a\n',
    '.gitignore': 'cache\n'
  })
  await ws.startJob(branch(1))
  write('a', 'half done\n')
  write('new/file', 'half done\n')
  write('cache', 'kept')
  await ws.returnToMain()
  t.same(headStatus(), { head: 'main', dirty: '' })
  t.equal(text('a'), 'a\n')
  t.notOk(existsSync(at('new')))
  t.equal(text('cache'), 'kept')
})

t.test('reports the paths of a conflict and leaves main unchanged', async (t) => {
  const project = await newProject(t, { 'a ü': 'a\n', b: 'b\n', gone: 'g\n' })
  const { ws, headStatus, text } = project
  await work(project, branch(1), { 'a ü': 'agent\n', b: 'agent\n', gone: 'agent\n' })
  await ws.returnToMain()
  await ws.save('a ü', Buffer.from('Ann\n'), { author: ANN })
  await ws.remove('gone', { author: ANN })
  const main = await ws.head()
  for (const dryRun of [true, false]) {
    t.match(await ws.mergeJob(branch(1), { ...MERGE, dryRun }), {
      kind: 'conflict',
      paths: ['a ü', 'gone']
    })
  }
  t.equal(await ws.head(), main)
  t.same(headStatus(), { head: 'main', dirty: '' })
  t.equal(text('b'), 'b\n')

  await ws.startJob(branch(1))
  t.equal(text('a ü'), 'agent\n', 'the session continues from its work')
  await ws.dropWork({ branch: branch(1), later: [] })
  t.equal((await ws.list(branch(1))).files.length, 3, 'a running job keeps its branch')
  await ws.returnToMain()
  await ws.dropWork({ branch: branch(1), later: [] })
  t.same(headStatus(), { head: 'main', dirty: '' })
  t.equal((await refusal(ws.list(branch(1)))).code, 'not_found')
  t.same(await ws.mergeJob(branch(1), MERGE), { kind: 'nothing' })
  await ws.dropWork({ branch: branch(1), later: [] })
})

t.test('continues a session', async (t) => {
  t.test('from main, once its work is merged', async (t) => {
    const project = await newProject(t, { a: 'a\n' })
    const { ws, git } = project
    const first = await work(project, branch(1), { a: 'one\n' })
    await ws.mergeJob(branch(1), MERGE)
    await ws.returnToMain()
    t.same(await ws.startJob(branch(1)), { base: first.commit })
    await ws.returnToMain()
    const { commit } = await ws.save('b', Buffer.from('b'), { author: ANN })
    t.same(await ws.startJob(branch(1)), { base: commit })
    t.equal(git('rev-parse', branch(1)), commit)
    t.same(await ws.changes(), [])
  })

  t.test('from its held work with main merged in', async (t) => {
    const project = await newProject(t, { a: 'a\n', b: 'b\n' })
    const { ws, text, git, headStatus } = project
    const first = await work(project, branch(1), { a: 'one\n' })
    await ws.returnToMain()
    const { base: same } = await ws.startJob(branch(1))
    t.equal(same, first.commit, 'main has not moved: nothing to merge')
    await ws.returnToMain()

    const saved = await ws.save('b', Buffer.from('Ann\n'), { author: ANN })
    const { base } = await ws.startJob(branch(1))
    t.equal(git('log', '-1', '--format=%P', base), `${first.commit} ${saved.commit}`)
    t.same(headStatus(), { head: branch(1), dirty: '' })
    t.same([text('a'), text('b')], ['one\n', 'Ann\n'])
    const second = await work(project, branch(1), { a: 'two\n' }, 'job_2')
    t.equal(await ws.baseOf(second.commit), second.base)
    t.match(await ws.mergeJob(branch(1), MERGE), { kind: 'merged', commit: second.commit })
  })
})

t.test('saves while a job is running', async (t) => {
  for (const [says, prepare] of [
    ['on a new branch', async () => {}],
    [
      'on a branch that main has',
      async (project) => {
        await work(project, branch(1), { earlier: 'x\n' })
        await project.ws.mergeJob(branch(1), MERGE)
        await project.ws.returnToMain()
      }
    ],
    [
      'on held work',
      async (project) => {
        await work(project, branch(1), { earlier: 'x\n' })
        await project.ws.returnToMain()
      }
    ],
    [
      'on held work that conflicts with main',
      async (project) => {
        await work(project, branch(1), { a: 'held\n' })
        await project.ws.returnToMain()
        await project.ws.save('a', Buffer.from('main\n'), { author: ANN })
      }
    ]
  ] as [string, (project: Awaited<ReturnType<typeof newProject>>) => Promise<void>][]) {
    t.test(says, async (t) => {
      const project = await newProject(t, { a: 'a\n', b: 'b\n', c: 'c\n' })
      const { ws, write, show, git, text, headStatus } = project
      await prepare(project)
      const conflicting = says.includes('conflicts')
      const before = git('ls-tree', '-r', 'main')
      await ws.startJob(branch(1), { job: 'job_2' })
      write('c', 'agent\n')
      write('agent.txt', 'agent\n')

      const saved = await ws.save('b', Buffer.from('Ann\n'), { author: ANN })
      t.equal(saved.commit, await ws.head())
      t.equal(show('main', 'b'), 'Ann\n')
      t.equal(git('log', '-1', '--format=%an', 'main'), 'Ann Ä')
      t.equal(git('diff', '--name-only', 'main^', 'main'), 'b', 'and nothing else')
      await ws.save('human.txt', Buffer.from('Ann\n'), { author: ANN })
      await ws.remove('human.txt', { author: ANN })
      t.equal(text('b'), 'Ann\n')
      t.equal(text('agent.txt'), 'agent\n')
      t.same(
        (await ws.changes()).map(({ path }) => path),
        ['agent.txt', 'c'],
        "it is not counted as the agent's work"
      )

      const stale = ws.save('c', Buffer.from('x'), { author: ANN, ifMatch: '0'.repeat(40) })
      t.match((await refusal(stale)).facts, { changedByJob: 'job_2' }, 'the running job wrote this')

      const commit = (await ws.commitJob(COMMIT)) ?? ''
      const diff = await ws.diff(await ws.baseOf(commit), commit)
      t.same(
        diff.files.map(({ path }) => path),
        ['agent.txt', 'c']
      )
      const merged = await ws.mergeJob(branch(1), MERGE)
      await ws.returnToMain()
      t.same(headStatus(), { head: 'main', dirty: '' })
      t.equal(text('b'), 'Ann\n')
      if (conflicting) {
        t.match(merged, { kind: 'conflict', paths: ['a'] })
        t.equal(
          git('ls-tree', '-r', 'main', 'a', 'c'),
          before
            .split('\n')
            .filter((l) => /[ac]$/.test(l))
            .join('\n')
        )
      } else {
        t.match(merged, { kind: 'merged' })
        t.equal(text('c'), 'agent\n')
        t.equal(text('agent.txt'), 'agent\n')
      }
      t.equal(git('fsck', '--strict', '--no-dangling'), '')
    })
  }

  t.test("keeps the person's version of a file that the agent had changed", async (t) => {
    const { ws, write, show, text } = await newProject(t, { a: 'a\n' })
    await ws.startJob(branch(1))
    write('a', 'agent\n')
    const { sha } = await ws.read('a')
    await ws.save('a', Buffer.from('Ann\n'), { author: ANN, ifMatch: sha })
    t.same(await ws.changes(), [])
    t.equal(await ws.commitJob(COMMIT), null)
    await ws.returnToMain()
    t.equal(show('main', 'a'), 'Ann\n')
    t.equal(text('a'), 'Ann\n')
  })
})

t.test('does not change a running job when another is merged', async (t) => {
  const project = await newProject(t, { a: 'a\n', b: 'b\n' })
  const { ws, write, headStatus, text } = project
  await work(project, branch(1), { a: 'one\n' })
  await ws.returnToMain()

  const { base } = await ws.startJob(branch(2))
  write('b', 'two\n')
  t.match(await ws.mergeJob(branch(1), MERGE), { kind: 'merged' })
  t.same(
    (await ws.changes()).map(({ path }) => path),
    ['b']
  )
  const commit = (await ws.commitJob(COMMIT)) ?? ''
  t.equal(await ws.baseOf(commit), base)
  t.match(await ws.mergeJob(branch(2), MERGE), { kind: 'merged', commit: /^/ })
  await ws.returnToMain()
  t.same(headStatus(), { head: 'main', dirty: '' })
  t.same([text('a'), text('b')], ['one\n', 'two\n'])
})

t.test('names the job that changed the file when a save is stale', async (t) => {
  const project = await newProject(t, { a: 'a\n', b: 'b\n' })
  const { ws } = project
  const { sha } = await ws.read('a')
  await work(project, branch(1), { a: 'agent\n' }, 'job_7')
  await ws.mergeJob(branch(1), MERGE)
  await ws.returnToMain()
  await ws.save('b', Buffer.from('later\n'), { author: ANN })

  const stale = await refusal(ws.save('a', Buffer.from('x'), { author: ANN, ifMatch: sha }))
  t.match(stale.facts, { currentSha: (await ws.read('a')).sha, changedByJob: 'job_7' })
  const human = await refusal(ws.save('b', Buffer.from('x'), { author: ANN, ifMatch: sha }))
  t.notOk('changedByJob' in human.facts)
})

t.test("rejects a branch name that is not a job's", async (t) => {
  const { ws } = await newProject(t)
  for (const name of [
    'main',
    'ai/session-',
    'ai/session-../../HEAD',
    'refs/heads/main',
    `${branch(1)}\n`
  ]) {
    await t.rejects(ws.startJob(name), /not a job's branch/)
    await t.rejects(ws.mergeJob(name, MERGE), /not a job's branch/)
    await t.rejects(ws.dropWork({ branch: name, later: [] }), /not a job's branch/)
  }
  await t.rejects(ws.commitJob(COMMIT), /not on a job branch/)
})

t.test('reads packed refs', async (t) => {
  const project = await newProject(t, { a: 'a\n' })
  const { ws, git, repo, head } = project
  await work(project, branch(1), { a: 'b\n' })
  await ws.returnToMain()
  git('pack-refs', '--all')
  t.notOk(existsSync(join(repo, 'refs/heads/main')))
  t.equal(await ws.head(), head)
  t.match(readFileSync(join(repo, 'packed-refs'), 'utf8'), branch(1))
  t.match(await ws.mergeJob(branch(1), MERGE), { kind: 'merged' })
  t.equal((await ws.list()).files[0]?.size, 2)
})

t.test(
  'resets the branch when a job starts from main, and keeps the old commits readable',
  async (t) => {
    const project = await newProject(t, { 'a.txt': 'a\n' })
    const { ws, head, text, git, headStatus } = project
    const { commit } = await work(project, branch(1), { 'left.txt': 'left\n' })
    await ws.returnToMain()

    t.same(await ws.startJob(branch(1), { from: 'main' }), { base: head })
    t.same(headStatus(), { head: branch(1), dirty: '' })
    t.throws(() => text('left.txt'))
    t.equal(git('cat-file', '-t', commit), 'commit', 'its diff is still readable')
    await ws.returnToMain()

    t.same(await ws.startJob(branch(1), { from: { commit } }), { base: commit }, 'or gone on with')
    t.equal(text('left.txt'), 'left\n')
    await ws.returnToMain()
    t.match(await ws.mergeJob(commit, MERGE), { kind: 'merged', commit })
  }
)
