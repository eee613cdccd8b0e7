import { mkdir, mkdtemp, realpath, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'

type Plugin = (context: { directory: string }) => Promise<{
  'tool.execute.before': (call: object, given: { args: unknown }) => Promise<void>
}>

/** Plain JavaScript, because Kilo loads it. */
const PLUGIN = new URL('../../../supervisor/repository/inside/own-worktree.mjs', import.meta.url)

t.test('refuses the arguments of tools that lead out of the worktree', async (t) => {
  const { OwnWorktree } = (await import(PLUGIN.href)) as { OwnWorktree: Plugin }
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'kilowatt-links-')))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const worktree = join(folder, 'worktree')
  await mkdir(join(worktree, 'src'), { recursive: true })
  await symlink('..', join(worktree, 'up'))
  await symlink('/nowhere/at/all', join(worktree, 'dangling'))
  await symlink('src', join(worktree, 'inner'))
  await symlink('round', join(worktree, 'round'))
  // The worktree's own path may contain a link.
  await symlink('worktree', join(folder, 'linked'))

  const patch = (path: string) => `*** Begin Patch\n*** Update File: a.txt\n*** Move to: ${path}\n`
  for (const directory of [worktree, join(folder, 'linked')]) {
    const plugin = await OwnWorktree({ directory })
    const check = (args: unknown) => plugin['tool.execute.before']({}, { args })
    for (const args of [
      { filePath: 'up/x' },
      { filePath: join(directory, 'up/new/folder/x') },
      { filePath: 'dangling' },
      { filePath: 'dangling/x' },
      { filePath: 'round' },
      { filePath: 'src/../up/x' },
      { filePath: 'up/../x' },
      { filePath: `${directory}/up/../x` },
      { path: 'up' },
      { workdir: 'up' },
      { pattern: 'up/**/*.txt' },
      { pattern: join(directory, 'inner/../up/*') },
      { patchText: patch('up/b.txt') }
    ]) {
      await t.rejects(check(args), /leads out of the project/, JSON.stringify(args))
    }
    for (const args of [
      undefined,
      {},
      { filePath: 'src/a.txt' },
      { filePath: 'inner/new/a.txt' },
      { filePath: '..a/b' },
      { path: directory },
      { path: 7 },
      { pattern: '**/*.ts' },
      { pattern: 'src/*' },
      { patchText: patch('inner/b.txt') },
      // Kilo's own rule decides about what is written as a path elsewhere.
      { filePath: '/etc/hosts' }
    ]) {
      await t.resolves(check(args), JSON.stringify(args))
    }
  }
})
