import { existsSync } from 'node:fs'
import t from 'tap'
import { ANN, branch, MERGE, newProject, refusal, work } from '../kit.ts'

const UNDO = { author: ANN, message: 'Take the job back' }

t.test('reverts one job on main and keeps later changes', async (t) => {
  const project = await newProject(t, { a: '1\n2\n3\n4\n5\n6\n7\n8\n9\n', b: 'b\n' })
  const { ws, git, text, at, headStatus } = project
  const { base, commit } = await work(project, branch(1), {
    a: 'agent\n2\n3\n4\n5\n6\n7\n8\n9\n',
    'new/file': 'x'
  })
  await ws.mergeJob(branch(1), MERGE)
  await ws.returnToMain()
  await ws.save('a', Buffer.from('agent\n2\n3\n4\n5\n6\n7\n8\nAnn\n'), { author: ANN })
  await ws.save('b', Buffer.from('Ann\n'), { author: ANN })
  const main = await ws.head()

  t.same(await ws.revert(base, commit, { ...UNDO, dryRun: true }), { kind: 'merged', commit: main })
  t.equal(await ws.head(), main, 'a dry run changes nothing')

  const reverted = await ws.revert(base, commit, UNDO)
  t.same(reverted, { kind: 'merged', commit: await ws.head() })
  t.equal(git('log', '-1', '--format=%an|%s|%P', 'main'), `Ann Ä|Take the job back|${main}`)
  t.equal(text('a'), '1\n2\n3\n4\n5\n6\n7\n8\nAnn\n')
  t.equal(text('b'), 'Ann\n')
  t.notOk(existsSync(at('new')))
  t.same(headStatus(), { head: 'main', dirty: '' })
  t.same(await ws.revert(base, commit, UNDO), { kind: 'nothing' }, 'it is out already')
  t.equal(git('fsck', '--strict', '--no-dangling'), '')
})

t.test('reverts a job that was merged by a merge commit', async (t) => {
  const project = await newProject(t, { a: 'a\n', b: 'b\n' })
  const { ws, text } = project
  const { base, commit } = await work(project, branch(1), { a: 'agent\n' })
  await ws.returnToMain()
  await ws.save('b', Buffer.from('Ann\n'), { author: ANN })
  t.same(await ws.revert(base, commit, UNDO), { kind: 'nothing' }, 'it is not in main yet')
  await ws.mergeJob(branch(1), MERGE)
  t.match(await ws.revert(base, commit, UNDO), { kind: 'merged' })
  t.same([text('a'), text('b')], ['a\n', 'Ann\n'])
})

t.test('reports a conflict and changes nothing when later work builds on the job', async (t) => {
  const project = await newProject(t, { a: 'a\n' })
  const { ws, text } = project
  const { base, commit } = await work(project, branch(1), { a: 'agent\n' })
  await ws.mergeJob(branch(1), MERGE)
  await ws.returnToMain()
  const { commit: main } = await ws.save('a', Buffer.from('agent and Ann\n'), { author: ANN })
  for (const dryRun of [true, false]) {
    t.match(await ws.revert(base, commit, { ...UNDO, dryRun }), { kind: 'conflict', paths: ['a'] })
  }
  t.equal(await ws.head(), main)
  t.equal(text('a'), 'agent and Ann\n')
})

t.test(
  "keeps people's saves during the job when reverting from the commit's own base",
  async (t) => {
    const { ws, write, text } = await newProject(t, { a: 'a\n', b: 'b\n' })
    const { base } = await ws.startJob(branch(1))
    write('a', 'agent\n')
    await ws.save('b', Buffer.from('Ann\n'), { author: ANN })
    const { KILO } = await import('#workspaces')
    const commit = (await ws.commitJob({ subject: 'x', trailers: {}, author: KILO })) ?? ''
    await ws.mergeJob(branch(1), MERGE)
    await ws.returnToMain()
    t.not(await ws.baseOf(commit), base)
    t.match(await ws.revert(await ws.baseOf(commit), commit, UNDO), { kind: 'merged' })
    t.same([text('a'), text('b')], ['a\n', 'Ann\n'])
  }
)

t.test('does not change a running job when another job is reverted', async (t) => {
  const project = await newProject(t, { a: 'a\n', b: 'b\n' })
  const { ws, write, text, headStatus } = project
  const { base, commit } = await work(project, branch(1), { a: 'agent\n' })
  await ws.mergeJob(branch(1), MERGE)
  await ws.returnToMain()
  await ws.startJob(branch(2))
  write('b', 'second\n')
  t.match(await ws.revert(base, commit, UNDO), { kind: 'merged' })
  t.same(
    (await ws.changes()).map(({ path }) => path),
    ['b']
  )
  await work(project, branch(2), { c: 'c' }).catch(() => {})
  t.equal(text('a'), 'a\n')
  await ws.mergeJob(branch(2), MERGE)
  await ws.returnToMain()
  t.same([text('a'), text('b')], ['a\n', 'second\n'])
  t.same(headStatus(), { head: 'main', dirty: '' })
})

t.test('rejects unknown commits', async (t) => {
  const { ws, head } = await newProject(t)
  for (const other of ['0'.repeat(40), '--all', 'main^']) {
    t.equal((await refusal(ws.revert(head, other, UNDO))).code, 'not_found')
    t.equal((await refusal(ws.diff(other, head))).code, 'not_found')
    t.equal((await refusal(ws.baseOf(other))).code, 'not_found')
  }
})
