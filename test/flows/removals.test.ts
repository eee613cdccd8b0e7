import { existsSync } from 'node:fs'
import { join } from 'node:path'
import pino from 'pino'
import t from 'tap'
import { readConfig } from '#config'
import { markProjectDeleted } from '#projects'
import { openEmbeddedDatabase } from '../../src/adapters/embedded/database.ts'
import { compose } from '../../src/compose/compose.ts'
import { createClient, givenProject } from '../helpers/product.ts'

t.test('a removal that a server did not live to end is ended by the next', async (t) => {
  const dir = t.testdir()
  const config = readConfig(
    { DATA_DIR: dir, PORT: '0', MODEL: 'anthropic/claude-sonnet-5-5', ANTHROPIC_API_KEY: 'unused' },
    dir
  )
  const start = () => compose(config, pino({ level: 'silent' }))
  const folderOf = (id: string) => join(dir, 'projects', id)
  const ids: string[] = []
  {
    await using product = await start()
    const admin = createClient(product.url, product.adminKey)
    const { body } = await admin.call<{ apiKey: string }>('POST', '/users', {})
    const user = createClient(product.url, body.apiKey)
    for (const name of ['a', 'b']) ids.push((await givenProject(user, { [name]: name })).id)
  }
  const [removed = '', kept = ''] = ids
  const db = await openEmbeddedDatabase(join(dir, 'db'))
  await markProjectDeleted(db, removed as Parameters<typeof markProjectDeleted>[1], new Date())
  await db.destroy()
  t.ok(existsSync(folderOf(removed)), 'it is still there')

  await using _again = await start()
  const deadline = Date.now() + 20_000
  while (existsSync(folderOf(removed)) && Date.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  t.notOk(existsSync(folderOf(removed)), 'now it is gone')
  t.ok(existsSync(folderOf(kept)), 'and nothing else')
})
