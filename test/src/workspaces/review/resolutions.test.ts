import { mkdirSync, rmSync } from 'node:fs'
import t from 'tap'
import { branch, MERGE, newProject, refusal, type Project } from '../kit.ts'
import { KILO } from '#workspaces'

/** A held commit that conflicts with main in four ways, and merges in a fifth file. */
async function givenConflicts(t: Parameters<typeof newProject>[0]) {
  const project = await newProject(t, {
    'both.txt': '1\n2\n3\n',
    'deleted.txt': 'one\n',
    'b.txt': 'one\n',
    'clean.txt': 'one\n'
  })
  const { ws, write, at } = project
  await ws.startJob(branch(1))
  write('both.txt', '1\nagent\n3\n')
  write('deleted.txt', 'agent\n')
  write('b.txt', 'agent\n')
  write('clean.txt', 'agent\n')
  const commit = (await ws.commitJob({ subject: 'Work', trailers: {}, author: KILO }))!
  await ws.returnToMain()
  write('both.txt', '1\nperson\n3\n')
  rmSync(at('deleted.txt'))
  rmSync(at('b.txt'))
  mkdirSync(at('b.txt'))
  write('b.txt/inside.txt', 'person\n')
  return { project, commit }
}

const resolve = (path: string, content: string | null) => ({
  path,
  content: content === null ? null : Buffer.from(content)
})
const filesOf = ({ git }: Project) => git('ls-tree', '-r', '--name-only', 'main').split('\n')

t.test('merges with what a person decides about each conflict', async (t) => {
  const { project, commit } = await givenConflicts(t)
  const { ws, text, headStatus, git } = project
  t.match(await ws.mergeJob(commit, MERGE), { paths: ['b.txt', 'both.txt', 'deleted.txt'] })

  const some = [resolve('both.txt', '1\nboth\n3\n')]
  t.match(
    await ws.mergeJob(commit, { ...MERGE, resolutions: some }),
    { kind: 'conflict', paths: ['b.txt', 'deleted.txt'] },
    'the others are still open'
  )
  const resolutions = [...some, resolve('deleted.txt', 'kept\n'), resolve('b.txt', null)]
  const head = await ws.head()
  const tried = await ws.mergeJob(commit, { ...MERGE, resolutions, dryRun: true })
  t.same(tried, { kind: 'merged', commit: head })
  t.equal(await ws.head(), head)

  t.match(await ws.mergeJob(commit, { ...MERGE, resolutions }), { kind: 'merged' })
  t.same(filesOf(project), ['b.txt/inside.txt', 'both.txt', 'clean.txt', 'deleted.txt'])
  t.same(
    ['both.txt', 'clean.txt', 'deleted.txt'].map(text),
    ['1\nboth\n3\n', 'agent\n', 'kept\n'],
    'also in the worktree'
  )
  t.same(headStatus(), { head: 'main', dirty: '' })
  t.equal(git('fsck', '--strict', '--no-dangling'), '')
  t.match(await ws.mergeJob(commit, MERGE), { kind: 'nothing' })
})

t.test('a file can take the place of a folder', async (t) => {
  const { project, commit } = await givenConflicts(t)
  const resolutions = [
    resolve('both.txt', 'x\n'),
    resolve('deleted.txt', null),
    resolve('b.txt', 'agent\n')
  ]
  t.match(await project.ws.mergeJob(commit, { ...MERGE, resolutions }), { kind: 'merged' })
  t.same(filesOf(project), ['b.txt', 'both.txt', 'clean.txt'])
})

t.test('refuses a resolution of what has no conflict', async (t) => {
  const { project, commit } = await givenConflicts(t)
  const { ws } = project
  const head = await ws.head()
  for (const path of ['clean.txt', '../../x', '.git/config']) {
    const resolutions = [resolve(path, 'x\n')]
    const refused = await refusal(ws.mergeJob(commit, { ...MERGE, resolutions }))
    t.match(refused, { code: 'invalid_request', facts: { paths: [path] } })
  }
  t.equal((await ws.head()).length, head.length)
  t.notOk(filesOf(project).includes('x'))
})
