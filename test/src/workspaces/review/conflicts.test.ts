import { mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import t from 'tap'
import { ANN, branch, MERGE, newProject, work, type Project } from '../kit.ts'

/** What a job and then main do to the same files, and the conflicts of the merge. */
async function conflictsOf(project: Project, agent: () => void, person: () => void) {
  const { ws } = project
  await ws.startJob(branch(1))
  agent()
  const commit = await ws.commitJob({ subject: 'Work', trailers: {}, author: ANN })
  await ws.returnToMain()
  person()
  const merged = await ws.mergeJob(commit!, MERGE)
  return merged.kind === 'conflict' ? merged.conflicts : []
}

t.test('each conflict has its kind, and what each side has', async (t) => {
  const project = await newProject(t, {
    'both.txt': 'one\n',
    'deleted.txt': 'one\n',
    'b.txt': 'one\n',
    'kind.txt': 'one\n',
    'renamed.txt': '1\n2\n3\n4\n5\n6\n'
  })
  const { write, at, git } = project
  const conflicts = await conflictsOf(
    project,
    () => {
      write('both.txt', 'agent\n')
      write('deleted.txt', 'agent\n')
      write('b.txt', 'agent\n')
      write('added.txt', 'agent\n')
      renameSync(at('renamed.txt'), at('by-agent.txt'))
      rmSync(at('kind.txt'))
      symlinkSync('both.txt', at('kind.txt'))
    },
    () => {
      write('both.txt', 'person\n')
      rmSync(at('deleted.txt'))
      rmSync(at('b.txt'))
      mkdirSync(at('b.txt'))
      write('b.txt/inside.txt', 'person\n')
      write('added.txt', 'person\n')
      write('kind.txt', 'person\n')
      renameSync(at('renamed.txt'), at('by-person.txt'))
    }
  )
  t.same(
    conflicts.map(({ path, kind, base, ours, theirs }) => [
      path,
      kind,
      [base, ours, theirs].map((side) => side && git('cat-file', 'blob', side.sha))
    ]),
    [
      ['added.txt', 'add-add', [null, 'person', 'agent']],
      ['b.txt', 'file-directory', ['one', null, 'agent']],
      ['both.txt', 'content', ['one', 'person', 'agent']],
      ['by-agent.txt', 'rename-rename', [null, null, '1\n2\n3\n4\n5\n6']],
      ['by-person.txt', 'rename-rename', [null, '1\n2\n3\n4\n5\n6', null]],
      ['deleted.txt', 'modify-delete', ['one', null, 'agent']],
      ['kind.txt', 'distinct-types', ['one', 'person', 'both.txt']],
      ['renamed.txt', 'rename-rename', ['1\n2\n3\n4\n5\n6', null, null]]
    ]
  )
  const paths = conflicts.map(({ path }) => path)
  t.notOk(
    paths.some((path) => path.includes('~')),
    'no path is a name that git has invented'
  )
})

t.test('a file whose own name looks like one of git’s keeps it', async (t) => {
  const project = await newProject(t, { 'b~main': 'one\n' })
  const { write } = project
  await work(project, branch(1), { 'b~main': 'agent\n' })
  await project.ws.returnToMain()
  write('b~main', 'person\n')
  const merged = await project.ws.mergeJob(branch(1), MERGE)
  t.match(merged, { kind: 'conflict', paths: ['b~main'], conflicts: [{ kind: 'content' }] })
})
