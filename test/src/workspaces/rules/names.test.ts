import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { forClients, fromClient, KILO } from '#workspaces'
import { ANN, branch, MERGE, newProject } from '../kit.ts'

const COMMIT = { subject: 'Work', trailers: { 'Job-Id': 'job_1' }, author: KILO }
const LATIN = Buffer.from([0x63, 0x61, 0x66, 0xe9])

t.test('a name that is no UTF-8 has an escaped form, and comes back from it', async (t) => {
  for (const [escaped, bytes] of [
    ['caf%E9', LATIN],
    ['%FF%FE', Buffer.from([0xff, 0xfe])],
    ['a%20%25%FF', Buffer.from('a %\xff', 'latin1')],
    ['%C3%BC%FF', Buffer.from([0xc3, 0xbc, 0xff])],
    ['%ED%A0%80', Buffer.from([0xed, 0xa0, 0x80])]
  ] as const) {
    const path = fromClient({ path: escaped, pathEncoding: 'percent' })!
    t.same(forClients(path), { path: escaped, pathEncoding: 'percent' })
    t.notOk(bytes.equals(Buffer.from(path)))
  }
  t.equal(fromClient({ path: '%C3%BC', pathEncoding: 'percent' }), 'ü')
  t.same(forClients('ü%FF'), { path: 'ü%FF' })
  t.equal(fromClient({ path: '%F', pathEncoding: 'percent' }), undefined)
})

for (const jailed of [true, false]) {
  t.test(`files with such a name, ${jailed ? 'in' : 'without'} a jail`, async (t) => {
    const project = await newProject(t, { a: 'a\n' }, {}, { jailed })
    const { ws, write, git, headStatus, text } = project
    const raw = Buffer.concat([Buffer.from(`${ws.worktree}/`), LATIN])
    await ws.startJob(branch(1))
    writeFileSync(raw, 'by the job\n')
    write('a', 'agent\n')
    t.same(
      (await ws.changes()).map(({ path }) => path),
      ['a']
    )
    const commit = (await ws.commitJob(COMMIT)) ?? ''
    t.same(ws.leftOut(), ['caf%E9'], 'the job does not commit it')
    t.equal(git('ls-tree', '-r', '--name-only', commit), 'a')
    await ws.returnToMain()
    t.equal(text('a'), 'a\n')
    await ws.mergeJob(commit, MERGE)
    await ws.startJob(branch(2))
    await ws.returnToMain()
    t.equal(git('ls-tree', '-r', '--name-only', 'main'), 'a', 'nor does anything later')
    t.ok(existsSync(raw))

    const listed = (await ws.list()).files.find(({ pathEncoding }) => pathEncoding)
    t.match(listed, { path: 'caf%E9', pathEncoding: 'percent', size: 11, kind: 'file' })
    const path = fromClient({ path: 'caf%E9', pathEncoding: 'percent' })!
    t.equal(String((await ws.read(path)).content), 'by the job\n')

    t.match(await ws.save(path, Buffer.from('Ann\n'), { author: ANN }), {
      ignored: false,
      commit: /./
    })
    t.equal(
      git('-c', 'core.quotePath=true', 'ls-tree', '-r', '--name-only', 'main'),
      'a\n"caf\\351"'
    )
    t.match((await ws.list('main')).files, [
      { path: 'a' },
      { path: 'caf%E9', pathEncoding: 'percent' }
    ])

    // From now on it is an ordinary file, also for moves.
    await ws.startJob(branch(3), { from: 'main' })
    writeFileSync(raw, 'changed\n')
    t.match(await ws.changes(), [{ path: 'caf%E9', status: 'modified' }])
    const changed = (await ws.commitJob(COMMIT)) ?? ''
    await ws.returnToMain()
    t.equal(String((await ws.read(path)).content), 'Ann\n')
    t.match(await ws.mergeJob(changed, MERGE), { kind: 'merged' })
    t.equal(String((await ws.read(path)).content), 'changed\n')
    await ws.remove(path, { author: ANN })
    t.same(readdirSync(ws.worktree), ['a'])
    t.same(headStatus(), { head: 'main', dirty: '' })
  })
}
