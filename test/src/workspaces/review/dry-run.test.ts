import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { branch, MERGE, newProject, work, type Project } from '../kit.ts'

const LINES = '1\n2\n3\n4\n5\n6\n7\n8\n9\n'

/** Everything that a dry run must not change: refs, HEAD, index entries, the files and their times. */
function stateOf({ repo, ws, dir, git }: Project) {
  const files = execFileSync('find', [ws.worktree, '-printf', '%P %T@ %i\n'], { encoding: 'utf8' })
  return {
    refs: git('for-each-ref'),
    head: readFileSync(join(repo, 'HEAD'), 'utf8'),
    index: git('ls-files', '--stage'),
    indexFile: statSync(join(repo, 'index')).mtimeMs,
    staging: readdirSync(join(dir, 'aside')),
    pending: existsSync(join(dir, 'moving')),
    files: files.split('\n').sort()
  }
}

for (const jailed of [true, false]) {
  const where = jailed ? '' : ', without a jail'
  t.test(`a dry run sees what lies uncommitted in the worktree${where}`, async (t) => {
    const project = await newProject(t, { a: LINES, b: 'b\n' }, {}, { jailed })
    const { ws, write, head } = project
    const { commit } = await work(project, branch(1), { a: LINES.replace('5', 'five') })
    await ws.returnToMain()
    write('a', LINES.replace('5', 'FIVE'))
    write('new', 'new\n')

    const before = stateOf(project)
    t.match(await ws.mergeJob(commit, { ...MERGE, dryRun: true }), {
      kind: 'conflict',
      paths: ['a']
    })
    t.same(stateOf(project), before, 'and changes nothing')
    t.equal(await ws.head(), head)
    t.match(await ws.mergeJob(commit, MERGE), { kind: 'conflict', paths: ['a'] }, 'as it was')
  })

  t.test(`a dry run of a revert sees it too${where}`, async (t) => {
    const project = await newProject(t, { a: LINES }, {}, { jailed })
    const { ws, write } = project
    const { base, commit } = await work(project, branch(1), { a: LINES.replace('5', 'five') })
    await ws.mergeJob(commit, MERGE)
    await ws.returnToMain()
    write('a', LINES.replace('5', 'five!'))
    const before = stateOf(project)
    const tried = await ws.revert(base, commit, { ...MERGE, dryRun: true })
    t.match(tried, { kind: 'conflict', paths: ['a'] })
    t.same(stateOf(project), before)
    t.match(await ws.revert(base, commit, MERGE), { kind: 'conflict', paths: ['a'] })
  })
}

t.test('a dry run that succeeds changes nothing, and says what the merge then does', async (t) => {
  const project = await newProject(t, { a: LINES, b: 'b\n' })
  const { ws, write, head, git } = project
  const { base, commit } = await work(project, branch(1), { b: 'agent\n' })
  const later = await work(project, branch(1), { c: 'later\n' })
  await ws.returnToMain()
  write('a', LINES.replace('5', 'FIVE'))
  const before = stateOf(project)
  t.same(await ws.mergeJob(commit, { ...MERGE, dryRun: true }), { kind: 'merged', commit: head })
  const options = { branch: branch(1), later: [later], dryRun: true }
  t.match(await ws.dropWork(options), { kind: 'dropped', replayed: [{ base: head }] })
  t.same(await ws.revert(base, commit, { ...MERGE, dryRun: true }), { kind: 'nothing' })
  t.same(stateOf(project), before)
  t.match(await ws.mergeJob(commit, MERGE), { kind: 'merged' })
  t.equal(git('show', 'main:a'), LINES.replace('5', 'FIVE').trim())
})

t.test('a dry run after a crash treats no file of the mixed worktree as left over', async (t) => {
  const project = await newProject(t, { a: LINES })
  const { ws, write, dir } = project
  const { commit } = await work(project, branch(1), { a: LINES.replace('5', 'five') })
  await ws.returnToMain()
  write('a', LINES.replace('5', 'mixed'))
  writeFileSync(join(dir, 'moving'), 'refs/heads/main')
  const before = stateOf(project)
  t.match(await ws.mergeJob(commit, { ...MERGE, dryRun: true }), { kind: 'merged' })
  t.same(stateOf(project), before)
  t.match(await ws.mergeJob(commit, MERGE), { kind: 'merged' })
})
