import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { script } from '#fixtures'
import { openStage, play, toolsOf } from '../supervisor/helpers.ts'

const SECRET = 'a-canary-outside-of-the-worktree'
const servers = (marks: string) =>
  JSON.stringify({
    mcpServers: { planted: { command: '/usr/bin/touch', args: [join(marks, 'x')] } }
  })

/** A worktree with settings for Kilo, which would leave a mark, and with links that lead out of it. */
async function plant(folder: string) {
  const [worktree, outside] = [join(folder, 'worktree'), join(folder, 'outside')]
  for (const path of ['worktree/.kilocode', 'worktree/src', 'outside/deep']) {
    await mkdir(join(folder, path), { recursive: true })
  }
  await writeFile(join(worktree, '.kilocode/mcp.json'), servers(outside))
  await writeFile(join(worktree, 'src/own.txt'), 'own')
  await writeFile(join(outside, 'deep/secret.txt'), SECRET)
  await symlink(outside, join(worktree, 'folder'))
  await symlink(join(outside, 'deep/secret.txt'), join(worktree, 'secret.txt'))
  await symlink(join(outside, 'new.txt'), join(worktree, 'new.txt'))
  await symlink('src', join(worktree, 'inner'))
  return { worktree, outside }
}

t.test('without a room, a repository with settings for Kilo gets no agent', async (t) => {
  const { folder, project } = await openStage(t, { isolation: 'process' })
  const { outside } = await plant(folder)
  await t.rejects(project(), {
    reason: 'unavailable',
    message: /contains settings for Kilo: \.kilocode\/mcp\.json\..*TRUST_REPOSITORIES=true/
  })
  t.same(await readdir(outside), ['deep'])
})

/** Each tool that takes a path, through each kind of link. */
const THROUGH_LINKS = [
  ['read', { filePath: 'secret.txt' }],
  ['read', { filePath: 'folder/deep/secret.txt' }],
  ['write', { filePath: 'secret.txt', content: 'x' }],
  ['write', { filePath: 'new.txt', content: 'x' }],
  ['write', { filePath: 'folder/written.txt', content: 'x' }],
  ['edit', { filePath: 'secret.txt', oldString: SECRET, newString: 'x' }],
  ['grep', { pattern: 'canary', path: 'folder' }],
  ['grep', { pattern: 'canary', path: 'secret.txt' }],
  ['glob', { pattern: '**/*', path: 'folder' }],
  ['glob', { pattern: 'folder/**' }],
  ['glob', { pattern: '{{worktree}}/folder/deep/*' }]
] as const

t.test('without a room, no tool follows a link out of the worktree', async (t) => {
  const { folder, project } = await openStage(t, { isolation: 'process', trustRepositories: true })
  const { outside } = await plant(folder)
  const { agent } = await project()
  t.same(await readdir(outside), ['deep'], 'the planted server was not started')

  const absolute = (value: string) =>
    /^(secret|new|folder)/.test(value) ? `{{worktree}}/${value}` : value
  const steps = THROUGH_LINKS.map(([tool, input]) => ({
    tool,
    input: Object.fromEntries(
      Object.entries(input).map(([name, value]) => [
        name,
        ['filePath', 'path'].includes(name) ? absolute(value) : value
      ])
    )
  }))
  const { events } = await play(agent, { text: script(...steps, { say: 'done' }) })
  const ended = toolsOf(events).filter(({ status }) => ['completed', 'error'].includes(status))
  t.equal(ended.length, steps.length)
  for (const [index, { tool, output }] of ended.entries()) {
    const title = `${tool} ${JSON.stringify(THROUGH_LINKS[index]?.[1])}`
    t.match(output, /leads out of the project/, title)
  }
  t.equal(await readFile(join(outside, 'deep/secret.txt'), 'utf8'), SECRET)
  t.same(await readdir(outside), ['deep'])

  await t.test('but tools search and change what lies in it, also through a link', async (t) => {
    const own = { filePath: '{{worktree}}/inner/own.txt', oldString: 'own', newString: 'changed' }
    const steps = [
      { tool: 'read', input: { filePath: '{{worktree}}/inner/own.txt' } },
      { tool: 'edit', input: own },
      { tool: 'write', input: { filePath: '{{worktree}}/new-folder/a.txt', content: 'canary' } },
      { tool: 'grep', input: { pattern: 'canary' } },
      { tool: 'glob', input: { pattern: '**/*.txt' } }
    ]
    const { events } = await play(agent, { text: script(...steps, { say: 'done' }) })
    const ended = toolsOf(events).filter(({ status }) => ['completed', 'error'].includes(status))
    t.same(
      ended.map(({ status }) => status),
      steps.map(() => 'completed')
    )
    t.match(ended.at(-2)?.output, /new-folder\/a\.txt/)
    t.notMatch(ended.at(-2)?.output, SECRET)
    t.equal(await readFile(join(folder, 'worktree/src/own.txt'), 'utf8'), 'changed')
  })
})
