import t from 'tap'
import { KILO } from '#workspaces'
import { ANN, branch, MERGE, newProject, newWorkspaces } from '../kit.ts'

const COMMIT = { subject: 'Work', trailers: { 'Job-Id': 'job_1' }, author: KILO }
const save = (text: string) => [Buffer.from(text), { author: ANN }] as const
const TEN = '1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n'

t.test(
  'a save that the agent overwrote is a conflict, and main is as the person left it',
  async (t) => {
    const { ws, write, show, text, git, headStatus } = await newProject(t, { a: TEN, b: 'b\n' })
    const { base: start } = await ws.startJob(branch(1), { job: 'job_1' })
    const { commit: saved } = await ws.save('a', ...save(TEN.replace('2', 'Ann')))
    write('a', TEN.replace('2', 'agent'))
    write('b', 'agent\n')
    t.match(await ws.changes(), [{ path: 'a', overwritesSave: true }, { path: 'b' }])
    const commit = (await ws.commitJob(COMMIT)) ?? ''
    for (const dryRun of [true, false]) {
      t.match(await ws.mergeJob(commit, { ...MERGE, dryRun }), { kind: 'conflict', paths: ['a'] })
    }
    await ws.returnToMain()
    t.equal(await ws.head(), saved)
    t.same(headStatus(), { head: 'main', dirty: '' })
    t.equal(text('a'), TEN.replace('2', 'Ann'))
    t.equal(show(commit, 'a'), TEN.replace('2', 'agent'))
    t.equal(git('merge-base', 'main', commit), start)

    const diff = await ws.diff(await ws.baseOf(commit), commit)
    t.same(
      diff.files.map(({ path }) => path),
      ['a', 'b'],
      "the job's own changes"
    )
    t.match(await ws.mergeJob(commit, MERGE), { kind: 'conflict', paths: ['a'] }, 'and later too')
  }
)

t.test('a removal that the agent undid is a conflict', async (t) => {
  const { ws, write, git } = await newProject(t, { a: 'a\n' })
  await ws.startJob(branch(1))
  await ws.remove('a', { author: ANN })
  write('a', 'agent\n')
  await ws.commitJob(COMMIT)
  t.match(await ws.mergeJob(branch(1), MERGE), { kind: 'conflict' })
  await ws.returnToMain()
  t.equal(git('ls-tree', '-r', '--name-only', 'main'), '')
})

t.test('a save that the agent kept merges cleanly', async (t) => {
  const { ws, write, text, git } = await newProject(t, { a: TEN, b: 'b\n' })
  await ws.startJob(branch(1), { job: 'job_1' })
  await ws.save('a', ...save(TEN.replace('2', 'Ann')))
  await ws.save('new', ...save('Ann\n'))
  await ws.save('b', ...save('one\n'))
  await ws.save('b', ...save('two\n'))
  write('a', TEN.replace('2', 'Ann').replace('9', 'agent'))
  write('c', 'agent\n')
  const commit = (await ws.commitJob(COMMIT)) ?? ''
  const diff = await ws.diff(await ws.baseOf(commit), commit)
  t.same(
    diff.files.map(({ path, additions }) => [path, additions]),
    [
      ['a', 1],
      ['c', 1]
    ]
  )
  t.match(await ws.mergeJob(commit, MERGE), { kind: 'merged' })
  await ws.returnToMain()
  t.same(
    [text('a'), text('new'), text('b'), text('c')],
    [TEN.replace('2', 'Ann').replace('9', 'agent'), 'Ann\n', 'two\n', 'agent\n']
  )
  t.match(git('log', '--format=%an|%s', 'main'), 'Ann Ä|Save a')

  t.match(await ws.revert(await ws.baseOf(commit), commit, MERGE), { kind: 'merged' })
  t.same([text('a'), text('new'), text('b')], [TEN.replace('2', 'Ann'), 'Ann\n', 'two\n'])
})

t.test('a save of what the job has changed names the job', async (t) => {
  const { ws, write } = await newProject(t, { a: 'a\n', b: 'b\n' })
  await ws.startJob(branch(1), { job: 'job_1' })
  write('a', 'agent\n')
  await ws.changes()
  t.match(await ws.save('a', ...save('Ann\n')), { conflictsWith: 'job_1' })
  t.notOk((await ws.save('b', ...save('Ann\n'))).conflictsWith)
  write('b', 'agent\n')
  await ws.changes()
  t.match(await ws.remove('b', { author: ANN }), { conflictsWith: 'job_1' })
  await ws.returnToMain()
  t.notOk((await ws.save('a', ...save('x\n'))).conflictsWith, 'not after its end')
})

t.test('saves are kept when the server stops during the job', async (t) => {
  const project = await newProject(t, { a: 'a\n', b: 'b\n' })
  const { ws, write, show, text } = project
  await ws.startJob(branch(1))
  await ws.save('a', ...save('Ann\n'))
  write('b', 'agent\n')
  const after = newWorkspaces(project.projectsDir).open(project.id)
  const commit = (await after.rescue(branch(1), COMMIT)) ?? ''
  t.equal(text('a'), 'Ann\n')
  t.equal(text('b'), 'b\n')
  t.match(await after.mergeJob(commit, MERGE), { kind: 'merged' })
  t.same([show('main', 'a'), show('main', 'b')], ['Ann\n', 'agent\n'])
})
