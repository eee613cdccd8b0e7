import { readFile, writeFile } from 'node:fs/promises'
import { createServer as createHttpServer } from 'node:http'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { systemClock } from '#kernel/clock.ts'
import { projectId } from '#kernel/ids.ts'
import { silentLog } from '#kernel/log.ts'
import { reachNetwork } from '../../../supervisor/egress/access.ts'
import { openEgress, type EgressSettings } from '../../../supervisor/egress/egress.ts'
import { ENV, givenRooms } from '../../helpers/rooms/given-rooms.ts'
import { entries, listening } from './given-proxy.ts'
import { localRegistry, REGISTRY } from './local-registry.ts'

const NONE = { registry: undefined, npmCaFile: undefined, nodeCaFile: undefined }

/** A room with a way out, and a shell in it that has the variables of an agent. */
async function givenRoom(t: Test, settings: Partial<EgressSettings>) {
  const rooms = await givenRooms(t, 'bubblewrap')
  if (rooms.problem !== undefined) return t.plan(0, rooms.problem)
  const refused: string[] = []
  const egress = await openEgress(
    {
      allow: [],
      bytesPerDay: 1e9,
      tools: NONE,
      resolve: (name) => Promise.resolve(name === 'gone.test' ? [] : ['127.0.0.1']),
      ...settings
    },
    { log: silentLog, clock: systemClock, onRefused: (reason) => refused.push(reason) }
  )
  t.teardown(() => egress[Symbol.dispose]())
  const given = await rooms.open()
  await egress.certificates.writeTo(given.given)
  const proxy = await reachNetwork(given.room, egress, projectId.create())
  const env = { ...ENV, HOME: given.room.paths.own, ...proxy }
  const sh = (command: string) =>
    given.room.run(
      { argv: ['/bin/bash', '-c', command], env, cwd: given.room.paths.work },
      { timeoutMs: 90_000, outputBytes: 1_000_000 }
    )
  return { ...given, env, sh, refused }
}

/** A request of the room's own Node. */
const get = (url: string) =>
  `/opt/node/node -e 'fetch("${url}").then(async (r) => console.log(r.status, await r.text()), (e) => console.log("failed", e.cause?.message ?? e.cause))'`

t.test('a program in a room reaches an allowed host, and no other', async (t) => {
  const port = await listening(
    t,
    createHttpServer((request, response) => response.end(`hello ${request.headers.host}`))
  )
  const room = await givenRoom(t, { allow: entries(`allowed.test:${port}!private,*:*`) })
  if (!room) return
  const { sh, refused } = room
  t.match(await sh(get(`http://allowed.test:${port}/`)), {
    stdout: `200 hello allowed.test:${port}`
  })
  t.same(refused, [])
  for (const url of [`http://other.test:${port}/`, `https://other.test:${port}/`]) {
    t.match((await sh(get(url))).stdout, /^failed/, url)
  }
  t.match((await sh(get('http://gone.test/'))).stdout, /^failed/)
  t.same(refused, ['private_address', 'private_address'])
  t.match((await sh(`exec 3<>/dev/tcp/127.0.0.1/${port}`)).code, 1, 'not without the proxy')

  const own = `/opt/node/node -e 'require("http").createServer((q, s) => s.end("own")).listen(3000, "127.0.0.1")' & sleep 1;`
  t.match((await sh(`${own} ${get('http://127.0.0.1:3000/')}`)).stdout, '200 own')
  t.equal(refused.length, 2, 'a server of the room is reached without the proxy')
})

t.test('npm installs a package in a room from the allowed registry', async (t) => {
  const registry = await localRegistry(t)
  if (!registry) return t.plan(0, 'openssl or tar is not installed')
  const { caFile, url, requests } = registry
  const tools = { registry: url, npmCaFile: caFile, nodeCaFile: caFile }
  const room = await givenRoom(t, { allow: undefined, tools })
  if (!room) return
  const { sh, refused, worktree, given } = room
  if ((await sh('npm --version')).code !== 0) return t.comment('left out: npm is not installed')

  const installed = await sh('npm install tiny --no-audit --no-fund')
  t.equal(installed.code, 0, installed.stderr)
  t.match(await readFile(join(worktree, 'node_modules/tiny/index.js'), 'utf8'), '42')
  t.same(requests, ['/tiny', '/tiny/-/tiny-1.0.0.tgz'])
  t.same(refused, [])
  t.match((await sh(get(`${url}tiny`))).stdout, /^200 .*"tiny"/s, 'Node trusts the authority too')

  const view = await sh(`npm view tiny --registry https://${REGISTRY}:1/`)
  t.match(view.stderr, `Network access to ${REGISTRY}:1 was refused: EGRESS_ALLOW does not list`)
  t.same(refused, ['not_allowed'])

  await t.test('with certificates that nothing in the room can change', async (t) => {
    t.equal(await readFile(join(given, 'npm-ca.pem'), 'utf8'), await readFile(caFile, 'utf8'))
    t.match(await sh('echo x > $npm_config_cafile; echo x > $NODE_EXTRA_CA_CERTS'), {
      stderr: /Read-only file system[\s\S]*Read-only file system/
    })
  })
})

t.test('a room gets certificates, but no private key of the same file', async (t) => {
  const registry = await localRegistry(t)
  if (!registry) return t.plan(0, 'openssl or tar is not installed')
  const both = `${registry.keyFile}.both`
  await writeFile(
    both,
    (await readFile(registry.keyFile, 'utf8')) + (await readFile(registry.caFile, 'utf8'))
  )
  const tools = { ...NONE, nodeCaFile: both, npmCaFile: '/nowhere/ca.pem' }
  const room = await givenRoom(t, { tools })
  if (!room) return
  t.equal(
    await readFile(join(room.given, 'node-ca.pem'), 'utf8'),
    await readFile(registry.caFile, 'utf8')
  )
  t.notOk('npm_config_cafile' in room.env, 'a file that cannot be read is left out')
})
