import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { inTransaction } from '#db'
import { systemClock as clock } from '#kernel/clock.ts'
import { projectId } from '#kernel/ids.ts'
import { silentLog as log } from '#kernel/log.ts'
import { createWorkspaces, KILOWATT } from '#workspaces'
import { openTestDatabase } from '../database.ts'
import { watchTransactions } from './transactions.ts'

t.test('reports git and fetch inside of a transaction, and neither outside of one', async (t) => {
  const db = await openTestDatabase(t)
  const projectsDir = await mkdtemp(join(tmpdir(), 'kilowatt-transactions-'))
  t.teardown(() => rm(projectsDir, { recursive: true, force: true }))
  const workspaces = createWorkspaces({ projectsDir, clock, log })
  t.teardown(() => workspaces[Symbol.dispose]())
  const id = projectId.create()
  await workspaces.create(id, {}, KILOWATT)
  const server = createServer((_request, response) => response.end('ok'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/slow`

  const found: string[] = []
  using _watch = watchTransactions((work) => void found.push(work))
  const slow = async () => {
    await workspaces.open(id).list()
    await (await fetch(url)).text()
  }
  await slow()
  t.same(found, [])
  await inTransaction(db, slow)
  t.match(found[0], /^git .*ls-files/)
  t.equal(found.at(-1), `fetch GET ${url}`)
})
