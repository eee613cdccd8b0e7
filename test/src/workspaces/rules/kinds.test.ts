import { execFileSync } from 'node:child_process'
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  rmSync,
  symlinkSync,
  unlinkSync
} from 'node:fs'
import t from 'tap'
import { AppError } from '#kernel/errors.ts'
import { KILO } from '#workspaces'
import { ANN, branch, MERGE, newProject, refusal, type Project } from '../kit.ts'

const COMMIT = { subject: 'Work', trailers: { 'Job-Id': 'job_1' }, author: KILO }
const CONTENT = Buffer.from('by Ann\n')

async function makeSocket(path: string): Promise<void> {
  // Through /proc: the address of a socket is short, and the path of a project is not.
  const script =
    'import socket,sys,os;os.chdir(sys.argv[1]);socket.socket(socket.AF_UNIX).bind(sys.argv[2])'
  const [dir, name] = [path.slice(0, path.lastIndexOf('/')), path.slice(path.lastIndexOf('/') + 1)]
  execFileSync('python3', ['-c', script, dir, name])
}

interface KindCase {
  readonly kind: string
  readonly make: (at: (path: string) => string, path: string) => void | Promise<void>
  readonly listed?: object | undefined
  readonly read: string
  readonly save: string
  readonly remove: string
}

const CASES: readonly KindCase[] = [
  {
    kind: 'symlink',
    make: (at, path) => symlinkSync('/etc/passwd', at(path)),
    listed: { kind: 'symlink', target: '/etc/passwd', sha: String },
    read: 'path_not_allowed',
    save: 'path_not_allowed',
    remove: 'done'
  },
  {
    kind: 'hard link',
    make(at, path) {
      linkSync(at('file'), at(path))
    },
    listed: { kind: 'file' },
    read: 'done',
    save: 'done',
    remove: 'done'
  },
  {
    kind: 'fifo',
    make: (at, path) => void execFileSync('mkfifo', [at(path)]),
    listed: { kind: 'fifo', sha: null },
    read: 'path_not_allowed',
    save: 'path_not_allowed',
    remove: 'done'
  },
  {
    kind: 'socket',
    make: (at, path) => makeSocket(at(path)),
    listed: { kind: 'socket', sha: null },
    read: 'path_not_allowed',
    save: 'path_not_allowed',
    remove: 'done'
  },
  {
    kind: 'device',
    make: (at, path) => void execFileSync('mknod', [at(path), 'c', '1', '3']),
    listed: { kind: 'device', sha: null },
    read: 'path_not_allowed',
    save: 'path_not_allowed',
    remove: 'done'
  },
  {
    kind: 'empty folder',
    make: (at, path) => void mkdirSync(at(`${path}/inner`), { recursive: true }),
    // The innermost one stands for all of them.
    listed: undefined,
    read: 'path_not_allowed',
    save: 'done',
    remove: 'done'
  },
  {
    kind: 'folder with a file',
    make(at, path) {
      mkdirSync(at(path))
      linkSync(at('file'), at(`${path}/x`))
    },
    listed: undefined,
    read: 'path_not_allowed',
    save: 'path_not_allowed',
    remove: 'path_not_allowed'
  }
]

const outcome = (doing: Promise<unknown>) =>
  doing.then(
    () => 'done',
    (error: unknown) => (error instanceof AppError ? error.code : String(error))
  )

t.test('every kind of entry has an answer on every route', async (t) => {
  for (const { kind, make, ...expected } of CASES) {
    const isDevice = kind === 'device'
    if (isDevice && process.getuid?.() !== 0) continue
    t.test(kind, async (t) => {
      const { ws, at } = await newProject(t, { file: 'content\n' })
      for (const where of ['top', 'in/a/folder']) {
        mkdirSync(at('in/a'), { recursive: true })
        await make(at, where)
        const head = await ws.head()
        const { files } = await ws.list()
        const found = files.find(({ path }) => path === where)
        t.match(found, expected.listed ?? undefined, `${where} is listed`)
        t.equal(await outcome(ws.read(where)), expected.read, 'read')
        if (expected.read !== 'done')
          t.match((await refusal(ws.read(where))).facts, { kind: String })
        t.same(await ws.head(), head, 'nothing of it is committed by looking')

        t.equal(await outcome(ws.save(where, CONTENT, { author: ANN })), expected.save, 'save')
        if (expected.save === 'done') {
          t.equal(String((await ws.read(where)).content), 'by Ann\n')
          t.equal(String((await ws.read('file')).content), 'content\n', 'not through the link')
          await ws.remove(where, { author: ANN })
          mkdirSync(at('in/a'), { recursive: true })
          await make(at, where)
        }
        t.equal(await outcome(ws.remove(where, { author: ANN })), expected.remove, 'remove')
        t.equal(existsSync(at(where)), expected.remove !== 'done')
        rmSync(at(where), { recursive: true, force: true })
        rmSync(at('in'), { recursive: true, force: true })
        await ws.startJob(branch(1), { from: 'main' })
        await ws.returnToMain()
      }
    })
  }

  t.test('also on the way to a path', async (t) => {
    const { ws, at } = await newProject(t, { file: 'content\n' })
    symlinkSync('/etc', at('link'))
    execFileSync('mkfifo', [at('pipe')])
    for (const path of ['link/passwd', 'pipe/x', 'file/x']) {
      t.equal(await outcome(ws.read(path)), 'path_not_allowed', path)
      t.equal(await outcome(ws.save(path, CONTENT, { author: ANN })), 'path_not_allowed', path)
      t.equal(await outcome(ws.remove(path, { author: ANN })), 'path_not_allowed', path)
    }
  })
})

t.test('each kind that replaces a tracked file in a job is a deletion everywhere', async (t) => {
  for (const { kind, make } of CASES) {
    if (['symlink', 'hard link'].includes(kind)) continue
    if (kind === 'device' && process.getuid?.() !== 0) continue
    t.test(kind, async (t) => {
      const { ws, at, git, text, headStatus } = await newProject(t, {
        file: 'f\n',
        'dir/gone': 'g\n',
        b: 'b\n'
      })
      await ws.startJob(branch(1))
      unlinkSync(at('dir/gone'))
      await make(at, 'dir/gone')
      const deleted = (await ws.changes()).find(({ path }) => path === 'dir/gone')
      t.match(deleted, { status: 'deleted', sha: null })
      const commit = (await ws.commitJob(COMMIT)) ?? ''
      t.match((await ws.diff(await ws.baseOf(commit), commit)).files, [
        { path: 'dir/gone', status: 'deleted' }
      ])
      await ws.returnToMain()
      t.equal(text('dir/gone'), 'g\n', 'the held work is undone')
      t.match(await ws.mergeJob(commit, MERGE), { kind: 'merged' })
      t.notOk(git('ls-tree', '-r', '--name-only', 'main').split('\n').includes('dir/gone'))
      await ws.save('b', CONTENT, { author: ANN })
      t.equal(headStatus().head, 'main')
      t.match(await ws.startJob(branch(2)), { base: await ws.head() })
      await ws.returnToMain()
    })
  }
})

t.test('a save blocked by a folder of the running job can be repeated later', async (t) => {
  const { ws, write, text } = await newProject(t, { a: 'a\n' })
  await ws.startJob(branch(1), { job: 'job_1' })
  write('new/file', 'agent\n')
  const blocked = await refusal(ws.save('new', CONTENT, { author: ANN }))
  t.match(blocked, { code: 'path_is_directory', facts: { path: 'new', jobId: 'job_1' } })
  await ws.commitJob(COMMIT)
  await ws.returnToMain()
  t.match(await ws.save('new', CONTENT, { author: ANN }), { created: true })
  t.equal(text('new'), 'by Ann\n')
  t.match(await ws.mergeJob(branch(1), MERGE), { kind: 'conflict' })
})

t.test('removes what is too deep for a client to make', async (t) => {
  const { ws, write, at } = await newProject(t, { a: 'a\n' })
  const deep = `${'d/'.repeat(100)}x`
  await ws.startJob(branch(1))
  write(deep, 'deep\n')
  const commit = (await ws.commitJob(COMMIT)) ?? ''
  await ws.mergeJob(commit, MERGE)
  await ws.returnToMain()
  t.ok((await ws.list()).files.some(({ path }) => path === deep))
  await ws.remove(deep, { author: ANN })
  t.notOk(existsSync(at('d')))
  t.same(
    (await ws.list()).files.map(({ path }) => path),
    ['a']
  )
})

t.test('a path that is longer than the system takes does not stop a job', async (t) => {
  const project = await newProject(t, { a: 'a\n' })
  const { ws, write, at, headStatus } = project
  await ws.startJob(branch(1))
  deepen(project, 'n'.repeat(200), 30)
  write('good', 'x\n')
  const commit = (await ws.commitJob(COMMIT)) ?? ''
  t.match((await ws.list(commit)).files, [{ path: 'a' }, { path: 'good' }])
  await ws.returnToMain()
  t.match(await ws.mergeJob(commit, MERGE), { kind: 'merged' })
  t.equal(headStatus().head, 'main')
  await ws.save('a', CONTENT, { author: ANN })
  await ws.startJob(branch(2), { from: 'main' })
  await ws.returnToMain()
  t.ok(lstatSync(at('n'.repeat(200))).isDirectory())
  t.ok((await ws.list()).files.length >= 2)
  execFileSync('rm', ['-rf', at('n'.repeat(200))])
})

/** A path beyond PATH_MAX is made folder by folder. */
function deepen({ ws }: Project, name: string, depth: number): void {
  const script = `import os,sys
os.chdir(sys.argv[1])
for _ in range(${depth}):
    os.mkdir(sys.argv[2]); os.chdir(sys.argv[2])
open('file','w').write('x')`
  execFileSync('python3', ['-c', script, ws.worktree, name])
}
