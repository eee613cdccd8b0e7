import { execFileSync } from 'node:child_process'
import { linkSync, mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { createDiskMeter } from '../../../supervisor/limits/disk-meter.ts'
import { DEPTH_MAX, walkDisk } from '../../../supervisor/limits/disk-walk.ts'

const NONE = { bytesMax: Infinity, filesMax: Infinity }
const MB = 1_000_000

const du = (option: string, folder: string) =>
  Number(execFileSync('du', ['-s', option, folder], { encoding: 'utf8' }).split('\t')[0])

t.test('counts what du counts', async (t) => {
  const folder = t.testdir({ work: { 'a.txt': 'x'.repeat(MB), deep: { er: { b: 'y' } } }, own: {} })
  const work = join(folder, 'work')
  linkSync(join(work, 'a.txt'), join(work, 'second name'))
  writeFileSync(join(work, 'sparse'), 'begin')
  truncateSync(join(work, 'sparse'), 1000 * MB)
  // A name that is not text.
  mkdirSync(Buffer.from(`${work}/\xff\xfe`, 'latin1'))
  writeFileSync(Buffer.from(`${work}/\xff\xfe/inside`, 'latin1'), 'z'.repeat(MB))

  const usage = walkDisk([work, join(folder, 'own'), join(folder, 'absent')], NONE)
  const own = join(folder, 'own')
  t.same(usage, {
    bytes: du('--block-size=1', work) + du('--block-size=1', own),
    files: du('--inodes', work) + du('--inodes', own),
    isTooDeep: false
  })
  t.ok(usage.bytes > 2 * MB && usage.bytes < 3 * MB, 'one of two names, and no hole')
})

t.test('follows no link, at the top or below', async (t) => {
  const folder = t.testdir({ secret: { large: 'x'.repeat(MB) }, work: {} })
  symlinkSync(join(folder, 'secret'), join(folder, 'work/link'))
  symlinkSync(join(folder, 'secret/large'), join(folder, 'work/file'))
  symlinkSync(join(folder, 'secret'), join(folder, 'root'))
  t.match(walkDisk([join(folder, 'work')], NONE), { files: 3 })
  t.ok(walkDisk([join(folder, 'work')], NONE).bytes < MB)
  t.same(walkDisk([join(folder, 'root')], NONE), { bytes: 0, files: 0, isTooDeep: false })
})

t.test('ends beyond its bounds, and at its depth', async (t) => {
  const files = Object.fromEntries(
    Array.from({ length: 50 }, (_, n) => [`f${n}`, 'x'.repeat(9000)])
  )
  const folder = t.testdir({ many: files, chain: {} })
  t.equal(walkDisk([join(folder, 'many')], { ...NONE, filesMax: 10 }).files, 11)
  const { bytes, files: counted } = walkDisk([join(folder, 'many')], { ...NONE, bytesMax: 50_000 })
  t.ok(bytes > 50_000 && counted < 10)

  // Short names, because a path has 4096 bytes at most.
  execFileSync('bash', [
    '-c',
    `cd "$1"; for n in $(seq ${DEPTH_MAX + 20}); do mkdir d && cd d; done; echo x > f`,
    'sh',
    join(folder, 'chain')
  ])
  t.match(walkDisk([join(folder, 'chain')], NONE), { isTooDeep: true, files: DEPTH_MAX })
  execFileSync('rm', ['-rf', join(folder, 'chain')])
})

t.test('leaves no descriptor open', async (t) => {
  const folder = t.testdir({ a: { b: { c: { d: 'x' } } } })
  const open = async () => (await readdir('/proc/self/fd')).length
  const before = await open()
  for (let n = 0; n < 20; n++) walkDisk([folder], { ...NONE, filesMax: n % 5 })
  t.equal(await open(), before)
})

t.test('a user that is not root counts a folder that is closed against it', async (t) => {
  if (process.getuid?.() !== 0) return t.plan(0, 'needs root, to become another user')
  const folder = t.testdir({
    closed: { large: 'x'.repeat(MB) },
    halfClosed: { large: 'x'.repeat(MB) }
  })
  execFileSync('bash', [
    '-c',
    'chown -R 65534 "$1"; chmod 755 "$1"; chmod 0 "$1/closed"; chmod 400 "$1/halfClosed"',
    'sh',
    folder
  ])
  const script = `
    import { walkDisk } from ${JSON.stringify(join(import.meta.dirname, '../../../supervisor/limits/disk-walk.ts'))}
    process.setuid(65534)
    console.log(walkDisk([process.argv[1]], { bytesMax: Infinity, filesMax: Infinity }).bytes)
  `
  const args = ['--input-type=module', '-e', script, folder]
  const bytes = Number(
    execFileSync(process.execPath, args, {
      encoding: 'utf8',
      env: {},
      stdio: ['ignore', 'pipe', 'ignore']
    })
  )
  t.ok(bytes > 2 * MB, `${bytes} bytes`)
})

t.test('measures in a thread, which starts again after its end', async (t) => {
  const folder = t.testdir({ a: 'x', b: 'y' })
  await using meter = createDiskMeter()
  const [first, second] = await Promise.all([meter.measure([folder]), meter.measure([folder])])
  t.equal(first.files, 3)
  t.same(second, first)
  await meter[Symbol.asyncDispose]()
  t.equal((await meter.measure([folder])).files, 3)
  t.equal((await meter.measure(['/nowhere'])).files, 0)
})
