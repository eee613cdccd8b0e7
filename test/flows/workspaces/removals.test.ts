import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import pino from 'pino'
import t from 'tap'
import { readConfig } from '#config'
import { markProjectDeleted } from '#projects'
import { openEmbeddedDatabase } from '../../../src/adapters/embedded/database.ts'
import { compose } from '../../../src/compose/compose.ts'
import { createClient, givenProject } from '../../helpers/product.ts'

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
  const aside = ['projects', 'agents'].map((place) => join(dir, place, '.removed-half'))
  for (const folder of aside) mkdirSync(join(folder, 'a/b'), { recursive: true })

  await using again = await start()
  const deadline = Date.now() + 20_000
  const gone = [folderOf(removed), ...aside]
  while (gone.some((path) => existsSync(path)) && Date.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  for (const path of gone) t.notOk(existsSync(path), `${path} is gone`)
  const admin = createClient(again.url, again.adminKey)
  t.match((await admin.call<string>('GET', '/metrics')).body, /^kilowatt_removals_left 0$/m)
  t.ok(existsSync(folderOf(kept)), 'and nothing else')
})
