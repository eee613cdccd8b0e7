import { execFileSync } from 'node:child_process'
import { readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { ANN, folder, newProject, refusal } from '../kit.ts'

const REFUSED = [
  '',
  '/',
  '/etc/passwd',
  '//x',
  '.',
  '..',
  './a',
  'a/.',
  'a/..',
  '../out',
  'a/../../out',
  'a//b',
  'a/',
  'a\0b',
  'a\\b',
  '..\\out',
  'C:\\x',
  '.git',
  '.git/config',
  'a/.git/hooks/pre-commit',
  '.GIT/config',
  '.Git',
  '.git ',
  '.git.',
  '.git . .',
  'a/.git. /x',
  '.git::$INDEX_ALLOCATION/config',
  '.git:x',
  'git~1',
  'GIT~1/config',
  'git~2',
  '.g\u200cit/config',
  '.\ufeffgit',
  'x/'.repeat(64) + 'x',
  'a/'.repeat(3000) + 'a',
  'x'.repeat(4097),
  'x'.repeat(256),
  'file/below',
  'file/below/that',
  'outside/secret',
  'outside/new'
]

const ALLOWED = [
  '..a',
  'a..',
  '...',
  '.github/x',
  '.gitignore',
  '%2e%2e',
  'x.git',
  'git',
  'git~x',
  '.gitx'
]

t.test('rejects paths that lead out of the project, for every operation', async (t) => {
  const out = folder(t)
  writeFileSync(join(out, 'secret'), 'secret')
  const { ws, head, at } = await newProject(t, { file: 'x' })
  symlinkSync(out, at('outside'))

  for (const path of REFUSED) {
    const named = JSON.stringify(path).slice(0, 40)
    t.equal((await refusal(ws.read(path))).code, 'path_not_allowed', `read ${named}`)
    const save = ws.save(path, Buffer.from('stolen'), { author: ANN })
    t.equal((await refusal(save)).code, 'path_not_allowed', `save ${named}`)
    const remove = ws.remove(path, { author: ANN })
    // What an agent made deeper than a client may can be removed, if it exists.
    const code = path.length > 100 && path.includes('/') ? 'not_found' : 'path_not_allowed'
    t.equal((await refusal(remove)).code, code, `remove ${named}`)
  }
  t.same(readdirSync(out), ['secret'])
  t.equal(execFileSync('cat', [join(out, 'secret')], { encoding: 'utf8' }), 'secret')
  t.equal(await ws.head(), head)
})

t.test('allows names that only look dangerous', async (t) => {
  const { ws } = await newProject(t)
  for (const path of ALLOWED) {
    t.equal((await refusal(ws.read(path))).code, 'not_found', path)
    t.ok((await ws.save(path, Buffer.from('x'), { author: ANN })).created, path)
  }
})

t.test('never leads outside when a folder is repeatedly swapped with a link', async (t) => {
  const out = folder(t)
  writeFileSync(join(out, 'file'), 'secret')
  const { ws, at } = await newProject(t, { 'dir/file': 'inside' })
  symlinkSync(out, at('other'))

  // Another thread swaps the folder and the link as fast as it can.
  const flipper = new Worker(
    `const { renameSync } = require('node:fs')
     const { workerData: at, parentPort } = require('node:worker_threads')
     let flips = 0
     const end = Date.now() + 900
     while (Date.now() < end) {
       renameSync(at + '/dir', at + '/t'); renameSync(at + '/other', at + '/dir')
       renameSync(at + '/t', at + '/other'); flips++
       renameSync(at + '/dir', at + '/t'); renameSync(at + '/other', at + '/dir')
       renameSync(at + '/t', at + '/other')
     }
     parentPort.postMessage(flips)`,
    { eval: true, workerData: ws.worktree }
  )
  const { promise: ended, resolve } = Promise.withResolvers<number>()
  let flips = 0
  flipper.on('message', (count: number) => (flips = count))
  flipper.on('exit', () => resolve(flips))
  let running = true
  void ended.then(() => (running = false))

  const seen = new Map<string, number>()
  const count = (what: string) => seen.set(what, (seen.get(what) ?? 0) + 1)
  while (running) {
    await ws.read('dir/file').then(
      ({ content }) => count(String(content)),
      (error: { code: string }) => count(error.code)
    )
  }
  t.ok((await ended) > 10, 'it was swapped')
  t.notOk(seen.has('secret'), JSON.stringify([...seen]))
  t.ok((seen.get('inside') ?? 0) > 0, 'and was read')
  t.ok((seen.get('path_not_allowed') ?? 0) > 0, 'and was refused')
})
