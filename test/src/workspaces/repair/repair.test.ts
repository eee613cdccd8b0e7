import { existsSync, mkdirSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ANN, branch, newProject, work, type Project } from '../kit.ts'

/** What can be broken, and the check that repairs it. */
const DAMAGES: Record<string, [check: string, damage: (project: Project) => void]> = {
  'no index': ['index', ({ repo }) => rmSync(join(repo, 'index'))],
  'an empty index': ['index', ({ repo }) => writeFileSync(join(repo, 'index'), '')],
  'an index of zeros': [
    'index',
    ({ repo }) => writeFileSync(join(repo, 'index'), Buffer.alloc(500))
  ],
  'a damaged index': [
    'index',
    ({ repo }) => writeFileSync(join(repo, 'index'), Buffer.from('DIRC\0\0\0\x02\0\0\0\x09garbage'))
  ],
  'a checkout that was not finished': [
    'checkout',
    ({ dir }) => writeFileSync(join(dir, 'moving'), 'refs/heads/main')
  ],
  'a checkout that was not finished, without an index': [
    'checkout',
    ({ dir, repo }) => {
      writeFileSync(join(dir, 'moving'), 'refs/heads/main')
      writeFileSync(join(repo, 'index'), 'garbage')
    }
  ],
  'a HEAD that names nothing': ['refs', ({ repo }) => writeFileSync(join(repo, 'HEAD'), '')],
  'no folder for temporary files': [
    'folders',
    ({ dir }) => rmSync(join(dir, 'aside'), { recursive: true })
  ],
  'no folder of files': ['worktree', ({ ws }) => rmSync(ws.worktree, { recursive: true })]
}

for (const [what, [check, damage]] of Object.entries(DAMAGES)) {
  t.test(`repairs ${what}`, async (t) => {
    const project = await newProject(t, { 'a.txt': 'a\n', 'b.txt': 'b\n' })
    const { ws, git, text, headStatus, head } = project
    damage(project)
    const checks = await ws.repair({ thorough: true })
    t.same(
      checks.filter(({ result }) => result !== 'ok').map(({ name, result }) => [name, result]),
      [[check, 'repaired']]
    )
    t.ok(checks.every(({ result, detail }) => (result === 'ok') === (detail === undefined)))
    t.same(
      (await ws.repair({ thorough: true })).filter(({ result }) => result !== 'ok'),
      []
    )

    t.same([text('a.txt'), text('b.txt')], ['a\n', 'b\n'])
    t.same(headStatus(), { head: 'main', dirty: '' })
    t.equal(await ws.head(), head)
    await work(project, branch(1), { 'a.txt': 'agent\n' })
    await ws.returnToMain()
    await ws.save('c.txt', Buffer.from('c\n'), { author: ANN })
    t.equal(git('fsck', '--strict', '--no-dangling'), '')
  })
}

t.test('keeps what lies uncommitted in the worktree', async (t) => {
  const { ws, write, repo, text } = await newProject(t, { 'a.txt': 'a\n' })
  write('a.txt', 'edited\n')
  write('new.txt', 'new\n')
  writeFileSync(join(repo, 'index'), 'garbage')
  await ws.repair({ thorough: true })
  t.same([text('a.txt'), text('new.txt')], ['edited\n', 'new\n'])
  t.same(
    (await ws.changes()).map(({ path }) => path),
    ['a.txt', 'new.txt']
  )
})

t.test('removes what interrupted operations have left, and nothing that is in use', async (t) => {
  const { ws, dir } = await newProject(t, { 'a.txt': 'a\n' })
  const aside = join(dir, 'aside')
  mkdirSync(join(aside, 'dry-old', 'refs'), { recursive: true })
  writeFileSync(join(aside, 'old'), 'x')
  writeFileSync(join(aside, 'new'), 'x')
  const before = new Date(Date.now() - 3_600_000)
  for (const name of ['dry-old', 'old']) utimesSync(join(aside, name), before, before)
  const checks = await ws.repair({ thorough: false })
  t.match(checks.at(-1), { name: 'temporary-files', result: 'repaired', detail: /^2 files/ })
  t.same(readdirSync(aside), ['new'])
})

t.test('says what cannot be repaired', async (t) => {
  for (const [damage, check, detail] of [
    [({ dir }) => rmSync(dir, { recursive: true }), 'folders', /no workspace folder/],
    [({ repo }) => rmSync(join(repo, 'objects'), { recursive: true }), 'folders', /no repository/],
    [({ repo }) => rmSync(join(repo, 'refs/heads/main')), 'refs', /main has no commit/],
    [
      ({ repo, git }) => {
        const blob = git('rev-parse', 'main:a.txt')
        rmSync(join(repo, 'objects', blob.slice(0, 2), blob.slice(2)))
      },
      'objects',
      /missing blob/
    ]
  ] as [(project: Project) => void, string, RegExp][]) {
    const project = await newProject(t, { 'a.txt': 'a\n' })
    damage(project)
    const checks = await project.ws.repair({ thorough: true })
    t.match(checks.at(-1), { name: check, result: 'failed', detail })
    await project.workspaces.remove(project.id)
    t.notOk(existsSync(project.dir), 'and the project can be removed')
  }
})
