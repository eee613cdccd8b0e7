import { lstatSync, mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createJails } from '../../../../src/workspaces/git/jail-shell.ts'
import { planJail, type JailedCommand } from '../../../../src/workspaces/git/jail.ts'
import { usableBubblewrap } from '../../../helpers/rooms/usable-bubblewrap.ts'
import { processesWith } from '../../../helpers/processes.ts'
import { until } from '../../../helpers/patience.ts'
import { newProject } from '../kit.ts'

const skip = usableBubblewrap === undefined && 'bubblewrap cannot be used on this machine'
const never = new AbortController().signal

t.test('runs the commands of a worktree in one jail', { skip }, async (t) => {
  const { run, command } = await givenJails(t)
  const odd = `it's "$HOME" \`x\`; $(y)\n#z`

  t.test('returns output, messages and the exit code', async (t) => {
    const listed = await run(command(['ls-files']), never)
    t.match(listed, { out: 'a\n', code: 0, err: '' })
    const failed = await run(command(['rev-parse', '--verify', 'nothing']), never)
    t.equal(failed.code, 128)
    t.match(failed.err, /^fatal: /)
  })

  t.test('passes arguments and variables unchanged', async (t) => {
    const echoed = await run(
      command(['-c', `alias.x=!printf %s "$WORD" "$1" #`, 'x', odd], odd),
      never
    )
    t.equal(echoed.out, odd + odd)
  })

  t.test('runs concurrent commands one at a time, each with its own output', async (t) => {
    const names = Array.from({ length: 20 }, (_, n) => `word-${n}`)
    const answers = await Promise.all(
      names.map((name) => run(command(['-c', `alias.x=!echo ${name} #`, 'x']), never))
    )
    t.same(
      answers.map(({ out }) => out),
      names.map((name) => `${name}\n`)
    )
  })

  t.test('reads long output without a line break at its end', async (t) => {
    const { out } = await run(
      command(['-c', 'alias.x=!head -c 3000000 /dev/zero | tr "\\0" x #', 'x']),
      never
    )
    t.equal(out.length, 3_000_000)
  })

  t.test('shows git nothing of this machine', async (t) => {
    const see = async (what: string) =>
      (await run(command(['-c', `alias.x=!(${what}) 2>&1 #`, 'x']), never)).out
    t.equal((await see('ls -A / | grep -vE "^[gs][0-9a-f]{32}$"')).trim(), topFolders().join('\n'))
    t.equal(
      await see('cat /proc/self/environ || true'),
      'cat: /proc/self/environ: No such file or directory\n'
    )
    t.equal((await see('ls /sys/class/net || echo none')).includes('none'), true)
    t.match(await see('touch /usr/x || true'), /Read-only|Permission/)
  })
})

t.test('ends what does not end by itself', { skip }, async (t) => {
  const { run, command, marker } = await givenJails(t)
  const sleep = command(['-c', `alias.x=!sleep 60 & echo ${marker} > /tmp/x; sleep 60 #`, 'x'])

  t.test('after its timeout', async (t) => {
    await t.rejects(run({ ...sleep, timeoutMs: 300 }, never), {
      message: 'git timed out after 0.3 s'
    })
  })
  t.test('when it is aborted', async (t) => {
    await t.rejects(run(sleep, AbortSignal.timeout(300)), { name: 'TimeoutError' })
  })
  t.test('with every process that it started', async () => {
    await until('no process of the jail', async () => (await processesWith(marker)).length === 0)
  })
  t.test('and serves the next command in another jail', async (t) => {
    t.match(await run(command(['ls-files']), never), { out: 'a\n' })
  })
})

t.test('a worktree that is created again has a jail of its own', { skip }, async (t) => {
  const { run, command, folders } = await givenJails(t)
  await run(command(['ls-files']), never)
  renameSync(folders.worktree, `${folders.worktree}-old`)
  mkdirSync(folders.worktree)
  writeFileSync(join(folders.worktree, 'new'), 'x')
  const { out } = await run(command(['ls-files', '--others']), never)
  t.equal(out, 'new\n')
})

t.test('closes an idle jail', { skip }, async (t) => {
  const { run, command, folders } = await givenJails(t, 200)
  await run(command(['ls-files']), never)
  t.not((await processesWith(folders.worktree)).length, 0)
  await until('no jail', async () => (await processesWith(folders.worktree)).length === 0)
})

async function givenJails(t: Test, idleMs?: number) {
  const project = await newProject(t, { a: 'a\n' }, {}, { jailed: false })
  const folders = {
    repo: project.repo,
    worktree: project.ws.worktree,
    stagingDir: join(project.dir, 'aside')
  }
  const jail = await planJail({ bubblewrap: usableBubblewrap! })
  const command = (args: string[], word = ''): JailedCommand => ({
    jail,
    folders,
    cwd: folders.worktree,
    args,
    env: { HOME: '/dev/null', PATH: '/usr/bin:/bin', WORD: word },
    config: ['core.pager=cat'],
    timeoutMs: 20_000
  })
  return { run: createJails(idleMs), command, folders, marker: project.id }
}

/** The names at the top of a jail, sorted, without the two random ones. */
function topFolders(): string[] {
  const system = ['bin', 'lib', 'lib32', 'lib64', 'sbin'].filter(
    (name) => lstatSync(`/${name}`, { throwIfNoEntry: false }) !== undefined
  )
  return [...system, 'dev', 'tmp', 'usr', 'work'].toSorted()
}
