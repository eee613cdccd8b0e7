import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { KILO } from '#workspaces'
import { ANN, branch, folder, MERGE, newProject, work, type Project } from './kit.ts'

const COMMIT = { subject: 'x', trailers: {}, author: KILO }

const inFolder = (cwd: string, ...args: string[]) =>
  execFileSync('git', ['-c', 'user.name=x', '-c', 'user.email=x', ...args], {
    cwd,
    stdio: 'pipe',
    encoding: 'utf8'
  })

/** A git configuration in which every setting that can run something runs `touch <marker>`. */
function hostileConfig(program: string): string {
  return `
[core]
  repositoryformatversion = 0
  fsmonitor = ${program}
  hooksPath = hooks
  pager = ${program}
  editor = ${program}
  sshCommand = ${program}
  askPass = ${program}
  gitProxy = ${program}
  attributesFile = evil-attributes
  worktree = /
[filter "evil"]
  clean = ${program}
  smudge = ${program}
  process = ${program}
  required = true
[diff]
  external = ${program}
[diff "evil"]
  command = ${program}
  textconv = ${program}
[merge "evil"]
  driver = ${program} %O %A %B
[credential]
  helper = !${program}
[gpg]
  program = ${program}
[commit]
  gpgSign = true
[alias]
  add = !${program}
[submodule]
  recurse = true
[include]
  path = more
`
}

/** Files and settings that an agent, or a cloned repository, could leave in a worktree. */
function lay(at: (path: string) => string, marker: string): void {
  const program = at('evil.sh')
  writeFileSync(program, `#!/bin/sh\ntouch "${marker}"\ncat\n`)
  chmodSync(program, 0o755)
  for (const dir of ['.', 'nested', 'nested/deeper']) {
    mkdirSync(at(dir), { recursive: true })
    inFolder(at(dir), 'init', '-q', '.')
    writeFileSync(at(`${dir}/file.txt`), `in ${dir}\n`)
    inFolder(at(dir), 'add', 'file.txt')
    inFolder(at(dir), 'commit', '-q', '-m', 'x')
    writeFileSync(at(`${dir}/.git/config`), hostileConfig(program))
    mkdirSync(at(`${dir}/.git/hooks`), { recursive: true })
    for (const hook of [
      'pre-commit',
      'post-checkout',
      'post-index-change',
      'reference-transaction'
    ]) {
      writeFileSync(at(`${dir}/.git/hooks/${hook}`), `#!/bin/sh\ntouch "${marker}"\n`)
      chmodSync(at(`${dir}/.git/hooks/${hook}`), 0o755)
    }
    writeFileSync(
      at(`${dir}/.gitattributes`),
      '[attr]macro filter=evil diff=evil merge=evil\n* filter=evil diff=evil merge=evil text eol=crlf ident\n*.txt macro\n'
    )
  }
  writeFileSync(
    at('.gitmodules'),
    `[submodule "x"]\n path = nested\n url = ext::${program}\n update = !${program}\n`
  )
  writeFileSync(at('.gitconfig'), hostileConfig(program))
}

async function everything(project: Project): Promise<void> {
  const { ws, write } = project
  await ws.list()
  await ws.save('file.txt', Buffer.from('saved $Id$\n'), { author: ANN })
  await ws.save('nested/file.txt', Buffer.from('saved\n'), { author: ANN })
  const { base } = await ws.startJob(branch(1))
  write('file.txt', 'agent\n')
  await ws.save('other.txt', Buffer.from('saved\n'), { author: ANN })
  await ws.changes()
  const commit = (await ws.commitJob(COMMIT)) ?? ''
  await ws.diff(base, commit)
  await ws.rawDiff(base, commit)
  await ws.mergeJob(branch(1), MERGE)
  await ws.returnToMain()
  await ws.list('main')
  await work(project, branch(2), { 'file.txt': 'held\n' })
  await ws.returnToMain()
  await ws.save('file.txt', Buffer.from('conflict\n'), { author: ANN })
  await ws.mergeJob(branch(2), MERGE)
  await ws.startJob(branch(2))
  await ws.rescue(branch(2), COMMIT)
  await ws.revert(base, commit, MERGE)
  await ws.remove('other.txt', { author: ANN })
  await ws.dropWork({ branch: branch(2), later: [] })
}

t.test('never executes a file of a worktree', async (t) => {
  const marker = join(folder(t), 'executed')
  const project = await newProject(t, { start: 'x' })
  lay(project.at, marker)

  // The trap works: git that trusts the folder it stands in falls into it.
  const trap = folder(t)
  lay((path) => join(trap, path), marker)
  execFileSync('git', ['status'], { cwd: trap, stdio: 'ignore' })
  t.ok(existsSync(marker), 'plain git executes it')
  execFileSync('rm', [marker])

  const names = [
    'GIT_DIR',
    'GIT_CONFIG_COUNT',
    'GIT_EXTERNAL_DIFF',
    'GIT_CONFIG_KEY_0',
    'GIT_CONFIG_VALUE_0',
    'HOME'
  ]
  const before = names.map((name) => process.env[name])
  t.teardown(() =>
    names.forEach((name, n) =>
      before[n] === undefined ? delete process.env[name] : (process.env[name] = before[n])
    )
  )
  Object.assign(process.env, {
    GIT_DIR: project.at('.git'),
    GIT_EXTERNAL_DIFF: project.at('evil.sh'),
    GIT_CONFIG_COUNT: '1',
    GIT_CONFIG_KEY_0: 'core.fsmonitor',
    GIT_CONFIG_VALUE_0: project.at('evil.sh'),
    HOME: project.ws.worktree
  })
  await everything(project)
  t.notOk(existsSync(marker), 'we never do')
})

t.test('commits files of a nested repository as ordinary files', async (t) => {
  const project = await newProject(t, { a: 'a\n' })
  const { ws, at, git, headStatus, text } = project
  await ws.startJob(branch(1))
  for (const dir of ['nested', 'nested/deep/er', 'no commit yet', 'empty']) {
    mkdirSync(at(dir), { recursive: true })
    inFolder(at(dir), 'init', '-q', '.')
  }
  for (const path of ['nested/ü.txt', 'nested/sub/x', 'nested/deep/er/y', 'no commit yet/z']) {
    mkdirSync(join(at(path), '..'), { recursive: true })
    writeFileSync(at(path), 'content\n')
  }
  writeFileSync(at('nested/.gitignore'), '*.log\n')
  writeFileSync(at('nested/x.log'), 'ignored')
  inFolder(at('nested/deep/er'), 'add', '.')
  inFolder(at('nested/deep/er'), 'commit', '-qm', 'x')
  inFolder(at('nested'), 'add', 'ü.txt')
  inFolder(at('nested'), 'commit', '-qm', 'x')

  const paths = [
    'nested/.gitignore',
    'nested/deep/er/y',
    'nested/sub/x',
    'nested/ü.txt',
    'no commit yet/z'
  ]
  t.same(
    (await ws.changes()).map(({ path, status }) => [path, status]),
    paths.map((path) => [path, 'added'])
  )
  t.same(
    (await ws.list()).files.map(({ path }) => path),
    ['a', ...paths]
  )
  await ws.save('nested/saved', Buffer.from('x'), { author: ANN })
  const commit = (await ws.commitJob(COMMIT)) ?? ''
  t.same(
    (await ws.list(commit)).files.map(({ path }) => path).sort(),
    ['a', ...paths, 'nested/saved'].sort()
  )
  t.notMatch(git('ls-tree', '-r', commit), '160000')
  t.same(await ws.changes(), [])

  await ws.mergeJob(branch(1), MERGE)
  await ws.returnToMain()
  t.equal(text('nested/ü.txt'), 'content\n')
  t.equal(git('fsck', '--strict', '--no-dangling'), '')
  t.equal(headStatus().head, 'main')

  t.test('on main after a person, and on the branch of a held job', async (t) => {
    const { base } = await ws.startJob(branch(2))
    t.equal(base, await ws.head())
    inFolder(at('.'), 'init', '-q', 'held')
    writeFileSync(at('held/file'), 'held\n')
    await ws.commitJob(COMMIT)
    await ws.returnToMain()
    t.notOk(existsSync(at('held/file')))
    inFolder(at('.'), 'init', '-q', 'by hand')
    writeFileSync(at('by hand/file'), 'by hand\n')
    await ws.mergeJob(branch(2), MERGE)
    t.equal(text('held/file'), 'held\n')
    t.ok((await ws.list('main')).files.some(({ path }) => path === 'by hand/file'))
  })
})

t.test('excludes files that git cannot store, and commits all others', async (t) => {
  const { ws, write, at, git } = await newProject(t, { a: 'a\n' })
  await ws.startJob(branch(1))
  for (const path of ['git~1', '.GIT/config', 'sub/.g\u200cit/x', 'good', 'back\\slash'])
    write(path, 'x')
  execFileSync('mkfifo', [at('pipe')])
  symlinkSync('/', at('root'))
  t.same(
    (await ws.changes()).map(({ path }) => path),
    ['back\\slash', 'good', 'root']
  )
  const commit = (await ws.commitJob(COMMIT)) ?? ''
  t.same(git('ls-tree', '-r', '--name-only', '-z', commit).split('\0').filter(Boolean), [
    'a',
    'back\\slash',
    'good',
    'root'
  ])
  t.match(await ws.mergeJob(branch(1), MERGE), { kind: 'merged' })
  await ws.returnToMain()
})

t.test("removes stale lock files only inside the project's repository", async (t) => {
  const victim = folder(t)
  const lock = join(victim, 'victim.lock')
  writeFileSync(lock, 'mine')
  const { ws, at } = await newProject(t, { a: 'a\n' })
  await ws.startJob(branch(1))
  // git's complaint about this file quotes its name, which reads like git's complaint about a lock.
  const name = `x\nfatal: Unable to create '${lock}': File exists`
  mkdirSync(join(at(name), '..'), { recursive: true })
  inFolder(at('.'), 'init', '-q', name)
  await ws.commitJob(COMMIT).catch(() => {})
  t.same(readdirSync(victim), ['victim.lock'])
})
