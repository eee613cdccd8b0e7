import { chmodSync, existsSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { LIMITS } from '#kernel/limits.ts'
import { projectId } from '#kernel/ids.ts'
import { ANN, newProject, newWorkspaces, folder, refusal } from './kit.ts'

t.test('creates a project with a first commit on main that has its files', async (t) => {
  const empty = await newProject(t)
  t.equal(await empty.ws.head(), empty.head)
  t.same(await empty.ws.list(), { head: empty.head, files: [] })

  const { ws, git, head, headStatus } = await newProject(t, { 'a.txt': 'a\n', 'src/b ü.ts': 'b\n' })
  t.equal(
    git('log', '--format=%an <%ae>|%cn|%s', 'main'),
    `Ann Ä <ann@example.com>|Kilowatt|Start the project`
  )
  t.same(await ws.list(), {
    head,
    files: [
      { path: 'a.txt', size: 2, sha: '78981922613b2afb6025042ff6bd878ac1994e85', kind: 'file' },
      { path: 'src/b ü.ts', size: 2, sha: '61780798228d17af2d34fce4cfbdf35556832472', kind: 'file' }
    ]
  })
  t.same(headStatus(), { head: 'main', dirty: '' })
  t.equal(git('fsck', '--strict', '--no-dangling'), '')
})

t.test('leaves no folder behind when a project cannot be created', async (t) => {
  const dir = folder(t)
  const workspaces = newWorkspaces(dir)
  for (const [source, code] of [
    [{ template: 'no such' }, 'invalid_request'],
    [{ template: 'constructor' }, 'invalid_request'],
    [{ files: [{ path: '../out', content: '' }] }, 'path_not_allowed'],
    [
      {
        files: [
          { path: 'a', content: '' },
          { path: 'a/b', content: '' }
        ]
      },
      'path_not_allowed'
    ]
  ] as const) {
    const { code: actual } = await refusal(workspaces.create(projectId.create(), source, ANN))
    t.equal(actual, code)
  }
  t.same(readdirSync(dir), [])
})

t.test('removes a project, and opens the same workspace twice', async (t) => {
  const { workspaces, id, dir, ws } = await newProject(t, { a: 'a' })
  t.equal(workspaces.open(id), ws)
  await workspaces.remove(id)
  t.notOk(existsSync(dir))
  await workspaces.remove(id)
  await t.rejects(workspaces.open(id).save('a', Buffer.from('b'), { author: ANN }), /no workspace/)
})

t.test('writes a saved file and commits it by its author', async (t) => {
  const { ws, git, head, text, show, headStatus } = await newProject(t)
  const created = await ws.save('docs/hello.md', Buffer.from('one\n'), { author: ANN })
  t.match(created, { path: 'docs/hello.md', created: true, sha: /^[0-9a-f]{40}$/ })
  t.equal(created.commit, await ws.head())
  t.equal(git('rev-parse', `${created.commit}^`), head)
  t.equal(text('docs/hello.md'), 'one\n')

  const options = { author: ANN, message: 'Say more' }
  const saved = await ws.save('docs/hello.md', Buffer.from('two\n'), options)
  t.notOk(saved.created)
  t.equal(show('main', 'docs/hello.md'), 'two\n')
  t.equal(git('log', '-1', '--format=%an|%cn|%s', 'main'), 'Ann Ä|Kilowatt|Say more')
  t.match(await ws.read('docs/hello.md'), {
    content: Buffer.from('two\n'),
    sha: saved.sha,
    size: 4
  })

  const same = await ws.save('docs/hello.md', Buffer.from('two\n'), { author: ANN })
  t.match(same, { commit: saved.commit, sha: saved.sha, created: false }, 'nothing new, no commit')
  t.same(headStatus(), { head: 'main', dirty: '' })

  const removed = await ws.remove('docs/hello.md', { author: ANN })
  t.equal(removed.commit, await ws.head())
  t.notOk(existsSync(join(ws.worktree, 'docs')), 'nor does the empty folder stay')
  t.equal((await refusal(ws.read('docs/hello.md'))).code, 'not_found')
  t.equal((await refusal(ws.remove('docs/hello.md', { author: ANN }))).code, 'not_found')
  t.same(headStatus(), { head: 'main', dirty: '' })
  t.equal(git('fsck', '--strict', '--no-dangling'), '')
})

t.test('does not let an author or a message forge a commit header', async (t) => {
  const { ws, git } = await newProject(t)
  const author = { name: 'Eve <x>\ncommitter Root <root@x> 1 +0000', email: 'a@b> 0\n' }
  for (const message of [
    '--template=/x --upload-pack=/bin/sh',
    '-',
    '\0',
    'a\n\nJob-Id: job_9',
    ''
  ]) {
    await ws.save('a', Buffer.from(message + 'x'), { author, message })
  }
  t.equal(git('fsck', '--strict', '--no-dangling'), '')
  t.equal(git('log', '-1', '--format=%cn', 'main'), 'Kilowatt')
  t.equal(git('log', '--format=%ae', '-1', 'main'), 'a@b0')
  const { facts } = await refusal(ws.save('a', Buffer.from(''), { author, ifNoneMatch: '*' }))
  t.notMatch(facts, { changedByJob: /./ }, 'nor is a trailer of theirs believed')
})

t.test('returns file names and contents of every kind unchanged', async (t) => {
  const { ws, show, git, at, headStatus } = await newProject(t, {
    '.gitattributes': '* text=auto eol=crlf ident working-tree-encoding=UTF-16\n'
  })
  const bytes = Buffer.from([0, 255, 13, 10, 10, 13, 0x24, 0x49, 0x64, 0x24, 0])
  for (const path of [
    'with space/ leading',
    'ünïcödé/日本語/🙂.txt',
    ':(top)magic',
    ':!not',
    '*star?[x]',
    '-dash',
    '--end-of-options',
    'new\nline',
    'tab\there',
    `quote'"`,
    '$Id$ `x` $(y)',
    '.gitignored.md',
    'a,b,c',
    'x'.repeat(255)
  ]) {
    const { sha } = await ws.save(path, bytes, { author: ANN })
    t.match(await ws.read(path), { content: bytes, sha, size: bytes.length }, path)
    t.equal(git('rev-parse', `main:${path}`), sha)
    t.ok((await ws.list()).files.some((file) => file.path === path && file.sha === sha))
    t.ok((await ws.list('main')).files.some((file) => file.path === path && file.sha === sha))
    t.equal(
      (await refusal(ws.save(path, bytes, { author: ANN, ifNoneMatch: '*' }))).code,
      'file_changed'
    )
    await ws.remove(path, { author: ANN, ifMatch: sha })
    t.notOk(existsSync(at(path)))
  }
  t.equal(show('main', '.gitattributes').slice(0, 1), '*')
  t.same(headStatus().head, 'main')
})

t.test('checks ifMatch and ifNoneMatch', async (t) => {
  const { ws } = await newProject(t, { 'a.txt': 'a\n' })
  const { sha } = await ws.read('a.txt')
  const author = ANN
  const other = Buffer.from('b\n')
  for (const [says, path, options, currentSha] of [
    ['another sha', 'a.txt', { ifMatch: '0'.repeat(40) }, sha],
    ['none expected', 'a.txt', { ifNoneMatch: '*' as const }, sha],
    ['a file that is not there', 'b.txt', { ifMatch: sha }, null],
    ['any file, none there', 'b.txt', { ifMatch: '*' }, null]
  ] as const) {
    const { code, facts } = await refusal(ws.save(path, other, { author, ...options }))
    t.match({ code, facts }, { code: 'file_changed', facts: { currentSha } }, says)
  }
  t.equal((await refusal(ws.remove('a.txt', { author, ifMatch: 'x' }))).code, 'file_changed')
  t.equal((await ws.read('a.txt')).sha, sha, 'and nothing was written')

  t.ok((await ws.save('b.txt', other, { author, ifNoneMatch: '*' })).created)
  t.notOk((await ws.save('a.txt', other, { author, ifMatch: sha })).created)
  t.notOk((await ws.save('a.txt', other, { author, ifMatch: '*' })).created)
})

t.test('rejects a file over the limit, and lets a save replace one', async (t) => {
  const { ws, at } = await newProject(t)
  const large = Buffer.alloc(LIMITS.fileBytesMax + 1, 'x')
  t.equal((await refusal(ws.save('a', large, { author: ANN }))).code, 'payload_too_large')
  t.notOk(existsSync(at('a')))
  writeFileSync(at('a'), large)
  t.equal((await refusal(ws.read('a'))).code, 'payload_too_large')
  t.notOk((await ws.save('a', large.subarray(1), { author: ANN })).created)
  t.equal((await ws.read('a')).size, LIMITS.fileBytesMax)
})

t.test('keeps the executable bit', async (t) => {
  const { ws, write, at, git } = await newProject(t)
  write('run.sh', '#!/bin/sh\n')
  chmodSync(at('run.sh'), 0o755)
  await ws.save('run.sh', Buffer.from('#!/bin/sh\ntrue\n'), { author: ANN })
  t.equal(statSync(at('run.sh')).mode & 0o777, 0o755)
  t.match(git('ls-tree', 'main', 'run.sh'), /^100755/)
})

t.test('saves and reads an ignored file, without listing or committing it', async (t) => {
  const { ws, head, headStatus } = await newProject(t, { '.gitignore': '.env\nout/\n' })
  for (const path of ['.env', 'out/deep/x']) {
    const saved = await ws.save(path, Buffer.from('secret'), { author: ANN })
    t.match(saved, { commit: null, ignored: true, created: true })
    t.equal(await ws.head(), head)
    t.equal(String((await ws.read(path)).content), 'secret')
  }
  t.same(
    (await ws.list()).files.map((file) => file.path),
    ['.gitignore']
  )
  t.same(await ws.changes(), [])
  await ws.remove('.env', { author: ANN })
  t.equal((await refusal(ws.read('.env'))).code, 'not_found')
  t.same(headStatus(), { head: 'main', dirty: '' })
})

t.test('lists the current worktree, and a commit as it was', async (t) => {
  const { ws, write, head, at, repo } = await newProject(t, { a: 'a\n', b: 'b\n', 'd/e': 'e\n' })
  write('a', 'changed\n')
  write('new/c', 'c\n')
  const { unlinkSync, symlinkSync } = await import('node:fs')
  unlinkSync(at('b'))
  symlinkSync('/etc/passwd', at('link'))

  const { files } = await ws.list()
  t.same(
    files.map((file) => [file.path, file.size]),
    [
      ['a', 8],
      ['d/e', 2],
      ['link', 11],
      ['new/c', 2]
    ]
  )
  t.equal(files[0]?.sha, (await ws.read('a')).sha)

  for (const at of [head, head.slice(0, 12), 'main']) {
    const listed = await ws.list(at)
    t.equal(listed.head, head)
    t.same(
      listed.files.map((file) => file.path),
      ['a', 'b', 'd/e']
    )
  }
  for (const at of [
    'nope',
    '0'.repeat(40),
    'main^',
    '--all',
    '',
    'HEAD',
    'ai/session-x',
    repo,
    'abcdef'
  ]) {
    t.equal((await refusal(ws.list(at))).code, 'not_found', at)
  }
})

t.test('keeps every one of many concurrent saves', async (t) => {
  const { ws, git, headStatus, workspaces, id } = await newProject(t)
  // A second set of workspaces over the same folder, as another process would have.
  const other = newWorkspaces(join(ws.worktree, '..', '..')).open(id)
  t.not(other, workspaces.open(id))
  const saves = Array.from({ length: 12 }, (_, n) =>
    (n % 2 ? ws : other).save(`f${n}`, Buffer.from(`${n}`), { author: ANN })
  )
  await Promise.all(saves)
  t.equal(git('rev-list', '--count', 'main'), '13')
  t.equal((await ws.list('main')).files.length, 12)
  t.same(headStatus(), { head: 'main', dirty: '' })
})
