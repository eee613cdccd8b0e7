import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pino from 'pino'
import t from 'tap'
import { readConfig } from '#config'
import { compose } from '../../../src/compose/compose.ts'
import { createClient, givenProject } from '../../helpers/product.ts'

const DAMAGES: Record<string, (project: string) => void> = {
  'no index': (project) => rmSync(join(project, 'repo/index')),
  'a damaged index': (project) => writeFileSync(join(project, 'repo/index'), 'garbage'),
  'a damaged HEAD': (project) => writeFileSync(join(project, 'repo/HEAD'), 'garbage'),
  'a damaged main': (project) => writeFileSync(join(project, 'repo/refs/heads/main'), 'garbage'),
  'no objects': (project) => rmSync(join(project, 'repo/objects'), { recursive: true }),
  'no repository': (project) => rmSync(join(project, 'repo'), { recursive: true }),
  'no files': (project) => rmSync(join(project, 'worktree'), { recursive: true }),
  'no folder': (project) => rmSync(project, { recursive: true }),
  'a checkout that was not finished': (project) =>
    writeFileSync(join(project, 'moving'), 'refs/heads/main')
}

t.test('a project can be read, repaired and deleted in every state', async (t) => {
  const dir = t.testdir()
  const config = readConfig(
    { DATA_DIR: dir, PORT: '0', MODEL: 'anthropic/claude-sonnet-5-5', ANTHROPIC_API_KEY: 'unused' },
    dir
  )
  const start = () => compose(config, pino({ level: 'silent' }))
  const folderOf = (id: string) => join(dir, 'projects', id)
  const ids = new Map<string, string>()
  let apiKey = ''
  {
    await using product = await start()
    const admin = createClient(product.url, product.adminKey)
    apiKey = (await admin.call<{ apiKey: string }>('POST', '/users', {})).body.apiKey
    const user = createClient(product.url, apiKey)
    const other = await admin.call<{ apiKey: string }>('POST', '/users', {})
    const otherUser = createClient(product.url, other.body.apiKey)
    for (const name of [...Object.keys(DAMAGES), 'at the start']) {
      ids.set(name, (await givenProject(user, { 'a.txt': 'a\n' })).id)
    }
    for (const [name, damage] of Object.entries(DAMAGES)) {
      const id = ids.get(name)!
      damage(folderOf(id))
      t.equal((await otherUser.call('POST', `/projects/${id}/repair`)).status, 404)
      t.equal((await user.call('GET', `/projects/${id}`)).status, 200, `${name}: read`)
      t.equal((await user.call('GET', '/projects')).status, 200, `${name}: list`)
      const repaired = await user.call<{ checks: { result: string }[] }>(
        'POST',
        `/projects/${id}/repair`
      )
      t.equal(repaired.status, 200, `${name}: repair`)
      if (repaired.body.checks.every(({ result }) => result !== 'failed')) {
        t.match(await user.call('GET', `/projects/${id}/files/a.txt`), { body: { content: 'a\n' } })
        const saved = await user.call('PUT', `/projects/${id}/files/b.txt`, { content: 'b\n' })
        t.equal(saved.status, 201, `${name}: save after the repair`)
      }
      t.equal((await user.call('DELETE', `/projects/${id}`)).status, 204, `${name}: delete`)
      t.equal((await user.call('GET', `/projects/${id}`)).status, 404)
    }
  }
  const id = ids.get('at the start')!
  writeFileSync(join(folderOf(id), 'repo/index'), 'garbage')
  await using again = await start()
  const user = createClient(again.url, apiKey)
  const deadline = Date.now() + 20_000
  const save = () => user.call('PUT', `/projects/${id}/files/b.txt`, { content: 'b\n' })
  let saved = await save()
  while (saved.status >= 500 && Date.now() < deadline) saved = await save()
  t.equal(saved.status, 201, 'every start repairs')
})
