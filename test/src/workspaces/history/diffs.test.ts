import { execFileSync } from 'node:child_process'
import { chmodSync, symlinkSync, unlinkSync } from 'node:fs'
import t from 'tap'
import { LIMITS } from '#kernel/limits.ts'
import { KILO } from '#workspaces'
import { branch, newProject, type Project } from '../kit.ts'

const commitOf = async ({ ws }: Project) =>
  (await ws.commitJob({ subject: 'x', trailers: {}, author: KILO })) ?? ''

t.test('reports every kind of change, file by file', async (t) => {
  const project = await newProject(t, {
    'mod ü.txt': '1\n2\n3\n',
    gone: 'x\n',
    retyped: 'text\n',
    mode: 'm\n',
    'tab\tname': 'a\n',
    '.gitattributes': '*.txt diff=evil\n'
  })
  const { ws, write, at, head } = project
  await ws.startJob(branch(1))
  write('mod ü.txt', '1\ntwo\n3\ndiff --git a/x b/x\n')
  // Carriage returns and odd separators end a line for some, and must not end one for us.
  write('new.js', 'a\rdiff --git a/fake b/fake\u2028diff --git a/f b/f\n')
  write('bin', Buffer.from([0, 1, 2]))
  write('tab\tname', 'b\n')
  unlinkSync(at('gone'))
  unlinkSync(at('retyped'))
  symlinkSync('gone', at('retyped'))
  chmodSync(at('mode'), 0o755)
  const commit = await commitOf(project)

  const { files, truncated, ...ends } = await ws.diff(head, commit)
  t.same(ends, { base: head, head: commit })
  t.notOk(truncated)
  t.same(
    files.map(({ path, status, additions, deletions, binary }) => [
      path,
      status,
      additions,
      deletions,
      binary
    ]),
    [
      ['bin', 'added', 0, 0, true],
      ['gone', 'deleted', 0, 1, false],
      ['mod ü.txt', 'modified', 2, 1, false],
      ['mode', 'modified', 0, 0, false],
      ['new.js', 'added', 1, 0, false],
      ['retyped', 'modified', 1, 1, false],
      ['tab\tname', 'modified', 1, 1, false]
    ]
  )
  const patchOf = (path: string) => files.find((file) => file.path === path)?.patch ?? ''
  for (const { path, patch } of files) {
    t.match(patch, /^diff --git /, path)
    t.ok(patch.endsWith('\n'), path)
  }
  t.match(patchOf('mod ü.txt'), 'a/mod ü.txt')
  t.match(patchOf('mod ü.txt'), '\n+diff --git a/x b/x')
  t.match(patchOf('retyped'), /deleted file mode 100644[^]*new file mode 120000/)
  t.match(patchOf('tab\tname'), '+b\n')
  t.equal(
    files
      .map(({ patch }) => patch)
      .join('')
      .match(/\ndiff --git|^diff --git/g)?.length,
    8
  )

  t.test('returns a raw patch that git can apply', async (t) => {
    const raw = await ws.rawDiff(head, commit)
    const other = t.testdir({ '.git-is-not-here': '' })
    const git = (args: string[], input?: string) =>
      execFileSync('git', args, { cwd: other, input, stdio: ['pipe', 'pipe', 'pipe'] })
    git(['init', '-q', '.'])
    git(['fetch', '-q', project.repo, 'main'])
    git(['reset', '-q', '--hard', 'FETCH_HEAD'])
    git(['apply', '--index', '-'], raw)
    const tree = String(git(['write-tree'])).trim()
    t.equal(tree, project.git('rev-parse', `${commit}^{tree}`))
  })
})

t.test('returns no files when both commits are the same', async (t) => {
  const { ws, head } = await newProject(t, { a: 'a' })
  t.same(await ws.diff(head, head), { base: head, head, files: [], truncated: false })
  t.equal(await ws.rawDiff(head, head), '')
})

t.test('cuts a long diff after a whole patch and marks it truncated', async (t) => {
  const project = await newProject(t)
  const { ws, write, head } = project
  await ws.startJob(branch(1))
  const half = 'ö'.repeat(40) + '\n'
  const content = half.repeat(Math.ceil((LIMITS.diffPatchBytesMax * 0.4) / Buffer.byteLength(half)))
  for (const name of ['a', 'b', 'c', 'd']) write(name, content)
  const commit = await commitOf(project)

  const diff = await ws.diff(head, commit)
  t.ok(diff.truncated)
  t.same(
    diff.files.map(({ path }) => path),
    ['a', 'b', 'c', 'd']
  )
  t.same(
    diff.files.map(({ patch, additions }) => [patch.length > 1000, additions > 100]),
    [
      [true, true],
      [true, true],
      [false, true],
      [false, true]
    ]
  )
  const raw = await ws.rawDiff(head, commit)
  t.ok(Buffer.byteLength(raw) <= LIMITS.diffPatchBytesMax)
  t.equal(raw.match(/^diff --git/gm)?.length, 2)
  t.ok(raw.endsWith('ö\n'))
})

t.test('returns no patch for a single file over the limit', async (t) => {
  const project = await newProject(t)
  const { ws, write, head } = project
  await ws.startJob(branch(1))
  write('huge', 'x'.repeat(20_000_000))
  const commit = await commitOf(project)
  t.match(await ws.diff(head, commit), {
    truncated: true,
    files: [{ path: 'huge', additions: 1, patch: '' }]
  })
  t.equal(await ws.rawDiff(head, commit), '')
})
