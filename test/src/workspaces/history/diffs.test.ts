import { execFileSync } from 'node:child_process'
import { chmodSync, readdirSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { LIMITS } from '#kernel/limits.ts'
import { KILO, type RawPatch } from '#workspaces'
import { ANN, branch, newProject, refusal, type Project } from '../kit.ts'

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

  t.equal(await appliedTree(t, project, head, commit), treeOf(project, commit), 'git can apply it')
})

t.test('returns no files when both commits are the same', async (t) => {
  const { ws, head } = await newProject(t, { a: 'a' })
  t.same(await ws.diff(head, head), { base: head, head, files: [], truncated: false })
  t.equal((await rawOf(ws.rawDiff(head, head))).length, 0)
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
  t.same(
    diff.files.map(({ truncated }) => truncated),
    [false, false, true, true]
  )
  t.match(await ws.diff(head, commit, 'c'), {
    truncated: false,
    files: [{ path: 'c', patch: /^diff --git a\/c b\/c/ }]
  })
  t.equal(
    await appliedTree(t, project, head, commit),
    treeOf(project, commit),
    'the raw one is whole'
  )
})

t.test('a patch that does not fit leaves room for those after it', async (t) => {
  const project = await newProject(t)
  const { ws, write, head } = project
  await ws.startJob(branch(1))
  write('a-lockfile', 'x\n'.repeat(LIMITS.diffPatchBytesMax))
  write('b', 'small\n')
  const { files, truncated } = await ws.diff(head, await commitOf(project))
  t.ok(truncated)
  t.match(files, [
    { path: 'a-lockfile', patch: '', truncated: true },
    { path: 'b', patch: /\+small\n$/, truncated: false }
  ])
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
  t.equal(await appliedTree(t, project, head, commit), treeOf(project, commit))
})

/** What an encoding makes of a text, before and after a change. */
const TEXTS: Record<string, [Buffer, Buffer]> = {
  'latin-1.txt': [Buffer.from('caf\xe9\n', 'latin1'), Buffer.from('caf\xe9\nth\xe9\n', 'latin1')],
  'utf-16.txt': [Buffer.from('\ufeffone\r\n', 'utf16le'), Buffer.from('\ufefftwo\r\n', 'utf16le')],
  'crlf.txt': [Buffer.from('one\r\ntwo\r\n'), Buffer.from('one\r\n2\r\n')],
  'no-newline.txt': [Buffer.from('one'), Buffer.from('two')],
  'binary.bin': [Buffer.from([0, 1, 2, 255]), Buffer.from([0, 255, 2, 1])]
}

t.test('a patch is bytes: git makes the same tree of it', async (t) => {
  const project = await newProject(t, { a: 'a\n' })
  const { ws, write } = project
  for (const [name, [before]] of Object.entries(TEXTS)) write(name, before)
  // U+DCE9 stands for the byte E9, which is no UTF-8.
  await ws.save('n\udce9', Buffer.from('x\n'), { author: ANN })
  await ws.startJob(branch(1))
  const head = await ws.head()
  for (const [name, [, after]] of Object.entries(TEXTS)) write(name, after)
  const latinName = Buffer.concat([Buffer.from(`${ws.worktree}/n`), Buffer.from([0xe9])])
  writeFileSync(latinName, 'x\ny\n')
  const commit = await commitOf(project)

  t.equal(await appliedTree(t, project, head, commit), treeOf(project, commit))
  const raw = await rawOf(ws.rawDiff(head, commit))
  t.match(raw.toString('latin1'), /GIT binary patch/)
  t.ok(raw.includes(Buffer.from('+th\xe9\n', 'latin1')))

  const { files } = await ws.diff(head, commit)
  const named = new Map(files.map((file) => [file.path, file]))
  t.match(named.get('crlf.txt'), { encoding: 'utf-8', patch: /\+2\r\n/, truncated: false })
  t.match(named.get('utf-16.txt'), { binary: true, encoding: 'utf-8' })
  const latin = named.get('latin-1.txt')
  t.equal(latin?.encoding, 'base64')
  t.match(Buffer.from(latin?.patch ?? '', 'base64').toString('latin1'), /\+th\xe9\n$/)
  t.match(named.get('n%E9'), { pathEncoding: 'percent', status: 'modified', additions: 1 })
})

t.test('refuses a raw patch over the limit, and says what to ask for', async (t) => {
  const project = await newProject(t)
  const { ws, write, head, dir } = project
  await ws.startJob(branch(1))
  for (const name of ['a', 'b', 'c', 'd'])
    write(name, `${name.repeat(63)}\n`.repeat(LIMITS.diffRawBytesMax / 64 / 3))
  const commit = await commitOf(project)
  const refused = await refusal(ws.rawDiff(head, commit))
  t.equal(refused.code, 'payload_too_large')
  t.match(refused.message, /“path”/)
  t.ok((await rawOf(ws.rawDiff(head, commit, 'b'))).length > LIMITS.diffRawBytesMax / 4)
  t.match(await ws.diff(head, commit), {
    truncated: true,
    files: [{ path: 'a', truncated: true }, { path: 'b' }, { path: 'c' }, { path: 'd' }]
  })
  t.same(readdirSync(join(dir, 'aside')), [], 'no file is left')
  t.equal((await refusal(ws.rawDiff(head, commit, '../x'))).code, 'path_not_allowed')
})

async function rawOf(patch: Promise<RawPatch>): Promise<Buffer> {
  const { bytes, stream } = await patch
  const read = await buffer(stream)
  if (read.length !== bytes) throw new Error(`expected ${bytes} bytes, got ${read.length}`)
  return read
}

/** The tree that plain git makes of the raw patch. */
async function appliedTree(t: Test, { ws, repo }: Project, base: string, commit: string) {
  const raw = await rawOf(ws.rawDiff(base, commit))
  const other = t.testdir({ 'not-a-repository': '' })
  const git = (args: string[], input?: Buffer) =>
    execFileSync('git', args, { cwd: other, input, stdio: ['pipe', 'pipe', 'pipe'] })
  git(['init', '-q', '.'])
  git(['fetch', '-q', repo, `${base}:refs/heads/base`])
  git(['reset', '-q', '--hard', 'base'])
  git(['apply', '--index', '-'], raw)
  return String(git(['write-tree'])).trim()
}

const treeOf = ({ git }: Project, commit: string) => git('rev-parse', `${commit}^{tree}`)
