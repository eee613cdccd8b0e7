import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { lstat, mkdir, readFile, readdir, readlink, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { projectId } from '#kernel/ids.ts'
import { silentLog } from '#kernel/log.ts'
import t, { type Test } from 'tap'
import {
  clearLeftovers,
  folderOf,
  makeFolder,
  removeFolder
} from '../../supervisor/process/agent-folder.ts'
import { runsOf } from '../helpers/property.ts'
import { allProcesses, processesWith } from '../helpers/processes.ts'
import { descriptorsOpen, givenRooms } from '../helpers/rooms/given-rooms.ts'

async function given(t: Test) {
  const rooms = await givenRooms(t, 'bubblewrap')
  return rooms.problem === undefined ? rooms : t.plan(0, rooms.problem)
}

const KILLED_MS = 2000
const STARTED_MS = 10_000

/** Starts a server with that many projects, and kills it as a crash does. Resolves with the marker of its processes. */
async function killServer(
  t: Test,
  folder: string,
  { kind, count, perRoom }: { kind: string; count: number; perRoom: number }
): Promise<string> {
  const server = spawn(
    process.execPath,
    [join(import.meta.dirname, '../helpers/rooms/server.ts'), folder, String(count), kind],
    { stdio: ['ignore', 'pipe', 'inherit'] }
  )
  t.teardown(() => server.kill('SIGKILL'))
  await once(server.stdout, 'data')
  const marker = `${folder}/killed`
  const deadline = Date.now() + STARTED_MS
  const expected = count * perRoom
  while ((await processesWith(marker)).length < expected && Date.now() < deadline) await sleep(50)
  t.ok((await processesWith(marker)).length >= expected)
  server.kill('SIGKILL')
  await once(server, 'exit')
  return marker
}

const PROJECTS = runsOf({ usual: 3, deep: 10 })

t.test('kill -9 of the server leaves no process of its rooms', async (t) => {
  const rooms = await given(t)
  if (!rooms) return
  // Per room: bubblewrap twice, the room's program, a shell, a daemon of its own session, and an orphan.
  const expected = { kind: 'bubblewrap', count: PROJECTS, perRoom: 6 }
  const marker = await killServer(t, rooms.folder, expected)
  await sleep(KILLED_MS)
  t.same(await processesWith(marker), [])
})

t.test('without rooms, the next start ends what kill -9 of the server has left', async (t) => {
  const { folder } = await givenRooms(t, 'plain')
  // A shell, a daemon of its own session, and an orphan.
  const expected = { kind: 'plain', count: PROJECTS, perRoom: 3 }
  const marker = await killServer(t, folder, expected)
  t.ok((await processesWith(marker)).length > 0, 'nothing else ends them')
  t.equal(await clearLeftovers(folder), PROJECTS)
  t.same(await processesWith(marker), [])
  t.equal(await clearLeftovers(folder), 0, 'and their notes are gone')
})

t.test('opening and closing rooms leaves nothing behind', async (t) => {
  const rooms = await given(t)
  if (!rooms) return
  const rounds = runsOf({ usual: 4, deep: 10 })
  const concurrent = runsOf({ usual: 5, deep: 20 })
  const round = async (at: number) => {
    const opened = Array.from({ length: concurrent }, async (_, index) => {
      const { room, sh } = await rooms.open(`many-${at}-${index}`)
      await room.expose('egress', await room.freePort(), { accept: (c) => void c.destroy() })
      t.match(await sh('(setsid sleep 600 &) >/dev/null 2>&1; echo ok'), { stdout: 'ok\n' })
      await room[Symbol.asyncDispose]()
    })
    await Promise.all(opened)
  }
  await round(-1)
  const descriptors = await descriptorsOpen()
  const mounts = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n').length
  for (let at = 0; at < rounds; at++) await round(at)

  t.same(await processesWith(rooms.folder), [])
  const mine = (await allProcesses()).filter(({ parent }) => parent === process.pid)
  t.same(
    mine.filter(({ command }) => command === '' || command.includes('bwrap')),
    [],
    'no zombie and no bubblewrap'
  )
  t.ok((await descriptorsOpen()) <= descriptors + 2, 'no descriptor')
  t.equal((await readFile('/proc/self/mountinfo', 'utf8')).split('\n').length, mounts, 'no mount')
})

t.test('a failed start leaves nothing behind', async (t) => {
  const rooms = await given(t)
  if (!rooms) return
  const descriptors = await descriptorsOpen()
  const worktree = join(rooms.folder, 'does-not-exist')
  const [own, folder] = [join(rooms.folder, 'own'), join(rooms.folder, 'given')]
  for (const path of [own, folder]) await mkdir(path)
  const log = { debug() {}, info() {}, warn() {}, error() {}, child: () => log }
  const plan = { worktree, own, given: folder, marker: `${rooms.folder}-failed`, log }
  await t.rejects(rooms.rooms.open(plan), /bwrap: Can't find source path/)
  t.same(await processesWith(plan.marker), [])
  t.same((await readdir(folder)).includes('room.sock'), false)
  t.ok((await descriptorsOpen()) <= descriptors + 1)
})

t.test('nothing of the server is opened below a folder that an agent can write', async (t) => {
  const agents = t.testdir({ outside: { 'admin-key': 'the canary', kept: { file: 'kept' } } })
  const outside = join(agents, 'outside')
  const id = projectId.create()
  const folder = folderOf(agents, id)
  await makeFolder(folder)

  await t.test('the models file is written elsewhere', async (t) => {
    for (const name of ['models.json', 'home', 'config', 'tmp']) {
      await symlink(
        join(outside, name === 'models.json' ? 'admin-key' : 'new'),
        join(folder.own, name)
      )
    }
    await makeFolder(folder)
    t.equal(await readFile(join(outside, 'admin-key'), 'utf8'), 'the canary')
    t.notOk((await readdir(outside)).includes('new'))
    t.equal(await readFile(join(folder.given, 'models.json'), 'utf8'), '{}')
    t.equal(await readlink(join(folder.own, 'models.json')), join(outside, 'admin-key'))
  })

  await t.test('removing an agent’s folder follows no link', async (t) => {
    await symlink(outside, join(folder.own, 'everything'))
    await writeFile(join(folder.own, 'file'), '')
    await removeFolder(agents, id, silentLog)
    await t.rejects(lstat(join(agents, id)), { code: 'ENOENT' })
    t.equal(await readFile(join(outside, 'kept', 'file'), 'utf8'), 'kept')
    t.same((await readdir(agents)).toSorted(), ['outside'])
  })

  await t.test('nor does it where the folder itself was replaced', async (t) => {
    await symlink(outside, join(agents, id))
    await removeFolder(agents, id, silentLog)
    t.equal(await readFile(join(outside, 'kept', 'file'), 'utf8'), 'kept')
    await removeFolder(agents, id, silentLog)
  })
})
