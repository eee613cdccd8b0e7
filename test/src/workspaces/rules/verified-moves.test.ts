import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { KILO } from '#workspaces'
import { ANN, branch, MERGE, newProject, newWorkspaces, refusal, type Project } from '../kit.ts'

const COMMIT = { subject: 'Work', trailers: { 'Job-Id': 'job_1' }, author: KILO }
const UNDO = { author: ANN, message: 'Take the job back' }

/** As Go's module cache does: nothing can be deleted from the folders without changing their rights. */
function closeFolders({ at }: Project, ...folders: string[]) {
  for (const folder of folders) chmodSync(at(folder), 0o555)
}

const filesOf = ({ git }: Project, ref = 'main') =>
  git('ls-tree', '-r', '--name-only', ref).split('\n')

t.test('read-only folders of a job', async (t) => {
  const begin = async (t: Test) => {
    const project = await newProject(t, { a: 'a\n', 'old/x': 'x\n' })
    const { ws, write } = project
    const { base } = await ws.startJob(branch(1))
    write('mod/cache/deep/y', 'y\n')
    write('old/x', 'changed\n')
    closeFolders(project, 'mod/cache/deep', 'mod/cache', 'mod', 'old')
    const commit = (await ws.commitJob(COMMIT)) ?? ''
    return { ...project, base, commit, project }
  }

  t.test('are undone when it is held', async (t) => {
    const { ws, at, text, headStatus } = await begin(t)
    await ws.returnToMain()
    t.notOk(existsSync(at('mod')))
    t.equal(text('old/x'), 'x\n')
    t.same(headStatus(), { head: 'main', dirty: '' })
  })

  t.test('are undone by a revert, and the next job does not put them back', async (t) => {
    const { ws, at, text, base, commit, project } = await begin(t)
    await ws.mergeJob(commit, MERGE)
    await ws.returnToMain()
    t.match(await ws.revert(base, commit, UNDO), { kind: 'merged' })
    t.notOk(existsSync(at('mod')))
    t.equal(text('old/x'), 'x\n')
    await ws.startJob(branch(2))
    await ws.returnToMain()
    t.same(filesOf(project), ['a', 'old/x'])
  })

  t.test('can be written, deleted and moved by a person', async (t) => {
    const { ws, text, at } = await begin(t)
    await ws.save('old/new', Buffer.from('n\n'), { author: ANN })
    await ws.remove('mod/cache/deep/y', { author: ANN })
    t.notOk(existsSync(at('mod')))
    t.equal(text('old/new'), 'n\n')
  })

  t.test('outside of the project keep their rights', async (t) => {
    const { ws, at, project } = await begin(t)
    const outside = join(project.dir, 'outside')
    mkdirSync(outside, { mode: 0o555 })
    chmodSync(at('mod'), 0o755)
    chmodSync(at('mod/cache'), 0o755)
    execFileSync('rm', ['-rf', at('mod/cache')])
    execFileSync('ln', ['-s', outside, at('mod/cache')])
    await ws.returnToMain()
    t.equal(statSync(outside).mode & 0o777, 0o555)
  })
})

t.test('a folder that the worktree itself closed is no obstacle', async (t) => {
  const project = await newProject(t, { a: 'a\n' })
  const { ws, text } = project
  await ws.startJob(branch(1))
  project.write('a', 'agent\n')
  const commit = (await ws.commitJob(COMMIT)) ?? ''
  chmodSync(ws.worktree, 0o555)
  await ws.returnToMain()
  t.equal(text('a'), 'a\n')
  t.match(await ws.mergeJob(commit, MERGE), { kind: 'merged' })
})

t.test('a file that cannot be read', async (t) => {
  const { ws, at, write, git, text } = await newProject(t, { a: 'a\n', b: 'b\n' })
  await ws.startJob(branch(1))
  write('a', 'secret\n')
  write('new', 'secret\n')
  write('b', 'agent\n')
  chmodSync(at('a'), 0)
  chmodSync(at('new'), 0)
  t.same(
    (await ws.changes()).map(({ path }) => path),
    ['b'],
    'frames'
  )
  const commit = (await ws.commitJob(COMMIT)) ?? ''
  t.same([...ws.leftOut()].sort(), ['a', 'new'], 'a warning')
  t.equal(git('diff', '--name-only', await ws.baseOf(commit), commit), 'b', 'commit')
  const listed = new Map((await ws.list()).files.map(({ path, sha }) => [path, sha]))
  t.equal(listed.get('a'), git('rev-parse', `${commit}:a`), 'listing')
  await ws.mergeJob(commit, MERGE)
  await ws.returnToMain()
  chmodSync(at('new'), 0o644)
  await ws.startJob(branch(2))
  await ws.returnToMain()
  t.notOk(git('ls-tree', '--name-only', 'main').includes('new'), 'a person has to decide about it')
  await ws.save('new', Buffer.from('decided\n'), { author: ANN })
  t.ok(git('ls-tree', '--name-only', 'main').includes('new'))
  t.equal(text('b'), 'agent\n')
})

t.test('a job that did nothing but close a file leaves it as it is on main', async (t) => {
  const { ws, at, write, text } = await newProject(t, { a: 'a\n' })
  await ws.startJob(branch(1))
  write('a', 'agent\n')
  chmodSync(at('a'), 0)
  t.same(await ws.changes(), [], 'a file that cannot be read is no change')
  await ws.returnToMain()
  t.equal(text('a'), 'a\n')
})

t.test('gives each error of the file system its own sentence', async (t) => {
  const { ws, at, write } = await newProject(t, { a: 'a\n' })
  write('dir/x', 'x')
  const sentence = async (path: string) => (await refusal(ws.read(path))).message
  const all = await Promise.all(['a/b', 'dir', 'x'.repeat(300)].map(sentence))
  t.equal(new Set(all).size, all.length)
  t.notMatch(all.join(' '), /A link, or/)
  t.ok(at)
})

t.test('a move that fails is undone, and nothing else has changed', async (t) => {
  const project = await newProject(t, { a: 'a\n', b: 'b\n' })
  const { ws, write, git, repo, headStatus, text } = project
  await ws.startJob(branch(1))
  write('a', 'agent\n')
  write('new/file', 'agent\n')
  const commit = (await ws.commitJob(COMMIT)) ?? ''
  await ws.returnToMain()
  await ws.save('b', Buffer.from('Ann\n'), { author: ANN })
  const main = await ws.head()

  // The content of one file is missing from the repository: git cannot write it.
  const blob = git('rev-parse', `${commit}:new/file`)
  const object = join(repo, 'objects', blob.slice(0, 2), blob.slice(2))
  execFileSync('mv', [object, `${object}.away`])
  const failed = await refusal(ws.mergeJob(commit, MERGE))
  t.equal(failed.code, 'workspace_error')
  t.notMatch(failed.message, repo, 'the sentence is ours')
  t.match((failed.cause as Error).message, /git/, "the log has git's words")
  t.equal(await ws.head(), main)
  t.equal(text('a'), 'a\n')
  t.same(headStatus(), { head: 'main', dirty: '' })

  execFileSync('mv', [`${object}.away`, object])
  t.match(await ws.mergeJob(commit, MERGE), { kind: 'merged' })
  t.equal(text('new/file'), 'agent\n')
})

t.test('makes a missing or broken index again', async (t) => {
  const breakings = [
    ['missing', (index: string) => execFileSync('rm', ['-f', index])],
    ['empty', (index: string) => writeFileSync(index, '')],
    ['cut', (index: string) => truncateSync(index, 40)],
    ['not an index', (index: string) => writeFileSync(index, 'x'.repeat(200))],
    [
      'changed',
      (index: string) =>
        execFileSync('sh', [
          '-c',
          `printf xx | dd of='${index}' bs=1 seek=20 conv=notrunc 2>/dev/null`
        ])
    ]
  ] as const
  for (const [says, spoil] of breakings) {
    t.test(says, async (t) => {
      const project = await newProject(t, { a: 'a\n', 'd/b': 'b\n', '.gitignore': 'x\n' })
      const { write, repo, headStatus, text, at } = project
      /** The project in a new process, after a crash that broke the index. */
      const broken = () => {
        spoil(join(repo, 'index'))
        return newWorkspaces(project.projectsDir).open(project.id)
      }
      await project.ws.startJob(branch(1))
      write('a', 'agent\n')
      await project.ws.save('saved', Buffer.from('Ann\n'), { author: ANN })
      t.same(
        (await broken().changes()).map(({ path }) => path),
        ['a']
      )
      const commit = (await broken().commitJob(COMMIT)) ?? ''
      t.same((await broken().list(commit)).files.length, 4)
      t.match(await broken().mergeJob(commit, MERGE), { kind: 'merged' })
      await broken().returnToMain()
      await broken().save('a', Buffer.from('Ann\n'), { author: ANN })
      t.same(filesOf(project), ['.gitignore', 'a', 'd/b', 'saved'])
      t.equal((await broken().list()).files.length, 4)
      await broken().remove('d/b', { author: ANN })
      t.notOk(existsSync(at('d')))
      t.equal(text('a'), 'Ann\n')
      t.same(headStatus(), { head: 'main', dirty: '' })
    })
  }
})

t.test(
  'finishes or undoes a move that a crash interrupted, and touches nothing else',
  async (t) => {
    for (const [says, isPublished] of [
      ['undone', false],
      ['finished', true]
    ] as const) {
      t.test(says, async (t) => {
        const project = await newProject(t, {
          a: 'a\n',
          gone: 'g\n',
          other: 'o\n',
          '.gitignore': '.env\n'
        })
        const { ws, write, dir, git, headStatus, text, at } = project
        await ws.startJob(branch(1))
        write('a', 'agent\n')
        write('new', 'agent\n')
        execFileSync('rm', [at('gone')])
        const commit = (await ws.commitJob(COMMIT)) ?? ''
        await ws.returnToMain()
        const main = await ws.head()
        write('.env', 'SECRET\n')
        // The merge had written one file.
        writeFileSync(
          join(dir, 'moving'),
          JSON.stringify({ ref: 'refs/heads/main', from: main, to: commit })
        )
        write('a', 'agent\n')
        write('new', 'agent\n')
        if (isPublished) git('update-ref', 'refs/heads/main', commit)

        const after = newWorkspaces(project.projectsDir).open(project.id)
        await after.list()
        t.equal(await after.head(), isPublished ? commit : main)
        t.equal(text('a'), isPublished ? 'agent\n' : 'a\n')
        t.equal(existsSync(at('new')), isPublished)
        t.equal(existsSync(at('gone')), !isPublished)
        t.equal(text('.env'), 'SECRET\n')
        t.notOk(existsSync(join(dir, 'moving')))
        t.same(headStatus(), { head: 'main', dirty: '' })
      })
    }
  }
)
