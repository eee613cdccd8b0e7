import { existsSync, mkdirSync, rmSync } from 'node:fs'
import t from 'tap'
import { KILO } from '#workspaces'
import { ANN, branch, MERGE, newProject, newWorkspaces, type Project } from '../kit.ts'

const COMMIT = { subject: 'Work', trailers: { 'Job-Id': 'job_1' }, author: KILO }
const RULES = '.env\nnode_modules/\n*.db\n'

/** Ignored files that a person and their tools have. */
function givenIgnored({ write }: Project) {
  write('.env', 'SECRET\n')
  write('node_modules/x/index.js', 'module\n')
  write('data/local.db', 'rows\n')
}

const IGNORED = ['.env', 'node_modules/x/index.js', 'data/local.db']

t.test('never commits what was ignored when the job started', async (t) => {
  for (const [says, change] of [
    ['although the job removes the ignore file', ({ at }) => rmSync(at('.gitignore'))],
    ['although the job changes it', ({ write }) => write('.gitignore', 'other\n')],
    [
      'although the job negates it',
      ({ write }) => write('.gitignore', `${RULES}!.env\n!*.db\n!node_modules/\n`)
    ],
    ['although the job negates it in a folder', ({ write }) => write('data/.gitignore', '!*.db\n')]
  ] as [string, (project: Project) => void][]) {
    t.test(says, async (t) => {
      const project = await newProject(t, { '.gitignore': RULES, 'data/a': 'a\n' })
      const { ws, write, text, git } = project
      givenIgnored(project)
      await ws.startJob(branch(1))
      change(project)
      write('made.db.txt', 'by the job\n')
      const changes = (await ws.changes()).map(({ path }) => path)
      t.same(
        changes.filter((path) => IGNORED.includes(path)),
        [],
        'no frames either'
      )
      const commit = (await ws.commitJob(COMMIT)) ?? ''
      const committed = git('ls-tree', '-r', '--name-only', commit).split('\n')
      t.same(
        committed.filter((path) => IGNORED.includes(path)),
        []
      )
      t.ok(committed.includes('made.db.txt'))
      await ws.mergeJob(commit, MERGE)
      await ws.returnToMain()
      for (const path of IGNORED) t.ok(existsSync(project.at(path)), path)
      t.equal(text('.env'), 'SECRET\n')

      // The next job and what people's tools leave do not commit them either.
      await ws.startJob(branch(2))
      await ws.returnToMain()
      const main = git('ls-tree', '-r', '--name-only', 'main').split('\n')
      t.same(
        main.filter((path) => IGNORED.includes(path)),
        [],
        'and main does not get them later'
      )

      const { commit: chosen } = await ws.save('.env', Buffer.from('NOT SECRET\n'), { author: ANN })
      const decided = says.includes('negates it in a folder') ? null : await ws.head()
      t.equal(chosen, decided, 'a person may decide otherwise')
    })
  }

  t.test('after a crash', async (t) => {
    const project = await newProject(t, { '.gitignore': RULES })
    const { ws, at, git } = project
    givenIgnored(project)
    await ws.startJob(branch(1))
    rmSync(at('.gitignore'))
    const after = newWorkspaces(project.projectsDir).open(project.id)
    const commit = await after.rescue(branch(1), COMMIT)
    t.equal(git('ls-tree', '-r', '--name-only', commit ?? ''), '')
    for (const path of IGNORED) t.ok(existsSync(at(path)), path)
  })
})

t.test('returns to main without removing what the job did not commit', async (t) => {
  const project = await newProject(t, { a: 'a\n' })
  const { ws, write, at, git, text } = project
  await ws.startJob(branch(1))
  write('.gitignore', 'node_modules/\n*.db\n')
  write('node_modules/x/index.js', 'installed by the job\n')
  write('local.db', 'rows\n')
  write('deep/new', 'work\n')
  write('a', 'work\n')
  const commit = await ws.commitJob(COMMIT)
  t.ok(commit)
  await ws.returnToMain()
  t.equal(text('a'), 'a\n')
  t.notOk(existsSync(at('deep')), 'what it committed is undone')
  t.notOk(existsSync(at('.gitignore')))
  t.equal(text('node_modules/x/index.js'), 'installed by the job\n')
  t.equal(text('local.db'), 'rows\n')

  await ws.startJob(branch(2), { from: 'main' })
  t.same(await ws.changes(), [], 'nor are they work of the next job')
  await ws.returnToMain()
  t.equal(git('ls-tree', '-r', '--name-only', 'main'), 'a', 'nor do they get to main')

  write('by-tool.txt', 'a tool of a person\n')
  await ws.startJob(branch(3), { from: 'main' })
  await ws.returnToMain()
  t.equal(git('ls-tree', '-r', '--name-only', 'main'), 'a\nby-tool.txt')

  await ws.mergeJob(commit ?? '', MERGE)
  t.equal(text('deep/new'), 'work\n')
  t.equal(text('local.db'), 'rows\n')
})

t.test("keeps uncommitted work on the job's branch", async (t) => {
  const { ws, write, at, git, headStatus, text } = await newProject(t, {
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
  t.equal(git('show', `${branch(1)}:new/file`), 'half done')
})

t.test("a person's save of an ignored file", async (t) => {
  t.test('is answered without a commit', async (t) => {
    const { ws, text } = await newProject(t, { '.gitignore': RULES })
    const saved = await ws.save('.env', Buffer.from('A=1\n'), { author: ANN })
    t.match(saved, { commit: null, ignored: true, created: true })
    t.equal(text('.env'), 'A=1\n')
    t.match(await ws.save('b', Buffer.from('b'), { author: ANN }), { ignored: false, commit: /./ })
  })

  t.test('is judged by the rules of main and survives every move', async (t) => {
    const project = await newProject(t, { '.gitignore': RULES, 'src/a': 'a\n' })
    const { ws, write, at, text, git } = project
    await ws.startJob(branch(1), { job: 'job_1' })
    rmSync(at('.gitignore'))
    write('src/.gitignore', 'main.ts\n')

    t.match(await ws.save('.env', Buffer.from('SECRET\n'), { author: ANN }), { ignored: true })
    const code = await ws.save('src/main.ts', Buffer.from('code\n'), { author: ANN })
    t.match(code, { ignored: false, commit: await ws.head() }, 'a rule of the job does not count')
    const commit = (await ws.commitJob(COMMIT)) ?? ''
    t.notMatch(git('ls-tree', '-r', '--name-only', commit), /\.env|local\.db/)
    await ws.returnToMain()
    t.equal(text('.env'), 'SECRET\n')
    t.equal(text('src/main.ts'), 'code\n')

    await ws.startJob(branch(1))
    await ws.returnToMain()
    await ws.mergeJob(commit, MERGE)
    t.equal(text('.env'), 'SECRET\n')
    t.equal(text('src/main.ts'), 'code\n')
    t.match(git('ls-tree', '-r', '--name-only', 'main'), 'src/main.ts')
    t.notMatch(git('ls-tree', '-r', '--name-only', 'main'), '.env')
  })

  t.test('is not overwritten by a branch that has a file of that name', async (t) => {
    const project = await newProject(t, { '.gitignore': RULES })
    const { ws, write, text } = project
    await ws.startJob(branch(1))
    write('.gitignore', '')
    write('.env', "the job's\n")
    const commit = (await ws.commitJob(COMMIT)) ?? ''
    await ws.returnToMain()
    await ws.save('.env', Buffer.from('SECRET\n'), { author: ANN })

    const main = await ws.head()
    t.match(await ws.mergeJob(commit, MERGE), { kind: 'conflict', paths: ['.env'] })
    t.equal(await ws.head(), main)
    t.equal(text('.env'), 'SECRET\n')

    await ws.startJob(branch(1), { from: { commit } })
    t.equal(text('.env'), "the job's\n")
    t.equal(text('.env.kept-1'), 'SECRET\n')
    await ws.returnToMain()
    t.equal(text('.env'), 'SECRET\n')
    t.notOk(existsSync(project.at('.env.kept-1')))
  })

  t.test('is kept where a branch has a file instead of its folder', async (t) => {
    const { ws, write, at, text } = await newProject(t, { '.gitignore': 'out/\n' })
    await ws.startJob(branch(1))
    write('.gitignore', '')
    write('out', 'a file\n')
    const commit = (await ws.commitJob(COMMIT)) ?? ''
    await ws.returnToMain()
    mkdirSync(at('out'))
    await ws.save('out/x', Buffer.from('mine\n'), { author: ANN })
    t.match(await ws.mergeJob(commit, MERGE), { kind: 'conflict', paths: ['out'] })
    await ws.startJob(branch(1), { from: { commit } })
    await ws.returnToMain()
    t.equal(text('out/x'), 'mine\n')
  })
})
