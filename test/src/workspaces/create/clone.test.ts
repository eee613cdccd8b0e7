import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:https'
import { createServer as createPlainServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import t from 'tap'
import { projectId } from '#kernel/ids.ts'
import { checkCloneUrl } from '../../../../src/workspaces/create/clone-url.ts'
import { ANN, folder, newWorkspaces, refusal } from '../kit.ts'

t.test('rejects URLs that are not public https', async (t) => {
  for (const url of [
    '',
    'x',
    '/etc',
    './x',
    'file:///etc',
    'http://1.1.1.1/x',
    'git://1.1.1.1/x',
    'ssh://git@github.com/x/y',
    'git@github.com:x/y.git',
    'ext::sh -c touch% /tmp/x',
    '--upload-pack=touch /tmp/x',
    'https://user@1.1.1.1/x',
    'https://user:secret@1.1.1.1/x',
    'https://1.1.1.1/x?a=b',
    'https://1.1.1.1/x#y',
    'https://127.0.0.1/x',
    'https://localhost/x',
    'https://[::1]/x',
    'https://[::ffff:127.0.0.1]/x',
    'https://[::ffff:7f00:1]/x',
    'https://2130706433/x',
    'https://0x7f000001/x',
    'https://0177.0.0.1/x',
    'https://127.1/x',
    'https://0/x',
    'https://10.1.2.3/x',
    'https://169.254.169.254/latest/meta-data',
    'https://192.168.0.1:8443/x',
    'https://no-such-host.invalid/x'
  ]) {
    t.equal((await refusal(checkCloneUrl(url))).code, 'invalid_request', url)
  }
  t.same(await checkCloneUrl('https://1.1.1.1:8443/a/b.git'), {
    url: 'https://1.1.1.1:8443/a/b.git',
    pin: '1.1.1.1:8443:1.1.1.1'
  })
})

t.test('never connects to a private address', async (t) => {
  let connections = 0
  const canary = createPlainServer((socket) => {
    connections++
    socket.destroy()
  }).listen(0, '127.0.0.1')
  await once(canary, 'listening')
  t.teardown(() => canary.close())
  const { port } = canary.address() as AddressInfo
  const dir = folder(t)
  for (const host of ['127.0.0.1', 'localhost', '2130706433', '[::ffff:127.0.0.1]']) {
    const git = { url: `https://${host}:${port}/x` }
    const made = newWorkspaces(dir).create(projectId.create(), { git }, ANN)
    t.equal((await refusal(made)).code, 'invalid_request')
  }
  t.equal(connections, 0)
})

/** A forge: git's own server program behind https, with a certificate of its own. */
async function forge(t: { teardown(work: () => unknown): void }) {
  const dir = folder(t)
  const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')]
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']
  execFileSync(
    process.env['OPENSSL'] ?? 'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-days',
      '1',
      '-keyout',
      key,
      '-out',
      cert,
      ...subject
    ],
    { stdio: 'ignore' }
  )
  const asked: string[] = []
  const server: Server = createServer({ key: readFileSync(key), cert: readFileSync(cert) })
  server.on('request', (request, response) => {
    const [path = '', query = ''] = (request.url ?? '').split('?')
    asked.push(path)
    if (path.startsWith('/moved/')) {
      response.writeHead(302, { location: `/repo.git${path.slice(6)}?${query}` }).end()
      return
    }
    const backend = spawn('git', ['http-backend'], {
      env: {
        PATH: process.env['PATH'],
        GIT_PROJECT_ROOT: dir,
        GIT_HTTP_EXPORT_ALL: '1',
        PATH_INFO: path,
        QUERY_STRING: query,
        REQUEST_METHOD: request.method,
        CONTENT_TYPE: request.headers['content-type'] ?? '',
        GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
        HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? ''
      }
    })
    request.pipe(backend.stdin)
    const pieces: Buffer[] = []
    backend.stdout.on('data', (piece: Buffer) => pieces.push(piece))
    backend.on('close', () => {
      const whole = Buffer.concat(pieces)
      const end = whole.indexOf('\r\n\r\n')
      const headers = String(whole.subarray(0, end)).split('\r\n')
      for (const line of headers) {
        const [name = '', value = ''] = line.split(': ')
        if (name === 'Status') response.statusCode = Number.parseInt(value)
        else response.setHeader(name, value)
      }
      response.end(whole.subarray(end + 4))
    })
  })
  server.listen(0, 'localhost')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { dir, cert, asked, base: `https://localhost:${(server.address() as AddressInfo).port}` }
}

t.test('clones from a forge that the operator allows', async (t) => {
  const { dir, cert, asked, base } = await forge(t)
  const source = join(dir, 'source')
  mkdirSync(join(source, 'sub'), { recursive: true })
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=Up', '-c', 'user.email=up@x', ...args], {
      cwd: source,
      encoding: 'utf8',
      stdio: 'pipe'
    }).trim()
  git('init', '-q', '-b', 'trunk', '.')
  writeFileSync(join(source, 'a.txt'), 'one\n')
  git('add', '-A')
  git('commit', '-qm', 'first')
  writeFileSync(join(source, 'a.txt'), 'two\r\n')
  writeFileSync(join(source, '.gitattributes'), '* filter=evil text eol=lf\n')
  symlinkSync('/etc/passwd', join(source, 'link'))
  git('add', '-A')
  git('commit', '-qm', 'second')
  const tip = git('rev-parse', 'HEAD')
  git('checkout', '-q', '-b', 'feature/x')
  git('update-index', '--add', '--cacheinfo', `160000,${tip},module`)
  writeFileSync(join(source, '.gitmodules'), '[submodule "m"]\n path = module\n url = ../other\n')
  git('add', '.gitmodules')
  git('commit', '-qm', 'with a submodule')
  git('checkout', '-q', 'trunk')
  execFileSync('git', ['clone', '-q', '--bare', source, join(dir, 'repo.git')])

  const projects = folder(t)
  const rules = { isAllowedAddress: () => true, authorities: cert }
  const workspaces = newWorkspaces(projects, rules)

  t.test('takes its newest commit as it is, and its files byte for byte', async (t) => {
    const id = projectId.create()
    const { head } = await workspaces.create(id, { git: { url: `${base}/repo.git` } }, ANN)
    t.ok(asked.length > 0)
    const ws = workspaces.open(id)
    const repo = join(projects, id, 'repo')
    t.same(
      (await ws.list()).files.map(({ path }) => path),
      ['.gitattributes', 'a.txt', 'link']
    )
    t.same(
      (await ws.read('a.txt')).content,
      execFileSync('git', ['--git-dir', repo, 'show', 'main:a.txt'])
    )
    t.equal((await refusal(ws.read('link'))).code, 'path_not_allowed')
    t.equal(head, tip)
    t.equal(
      execFileSync('git', ['--git-dir', repo, 'rev-list', '--count', 'main'], {
        encoding: 'utf8'
      }).trim(),
      '1'
    )
    const config = readFileSync(join(repo, 'config'), 'utf8')
    t.notMatch(config, 'localhost', 'it keeps no way back')
    t.notOk(existsSync(join(repo, 'FETCH_HEAD')))
    await ws.save('a.txt', Buffer.from('three\n'), { author: ANN })
    t.same(await ws.changes(), [])
  })

  t.test('clones a branch of any name that git allows', async (t) => {
    for (const branch of ['über/straße', 'a!b', "it's", 'x=(1)', `long-${'x'.repeat(230)}`]) {
      git('branch', branch, 'trunk')
      git('push', '-q', join(dir, 'repo.git'), branch)
      const from = { url: `${base}/repo.git`, branch }
      const { head } = await workspaces.create(projectId.create(), { git: from }, ANN)
      t.equal(head, tip, branch)
    }
  })

  t.test('clones an empty repository to an empty project', async (t) => {
    execFileSync('git', ['init', '-q', '--bare', join(dir, 'empty.git')])
    const id = projectId.create()
    await workspaces.create(id, { git: { url: `${base}/empty.git` } }, ANN)
    const ws = workspaces.open(id)
    t.same((await ws.list()).files, [])
    await ws.save('a', Buffer.from('a'), { author: ANN })

    execFileSync('git', ['--git-dir', join(dir, 'empty.git'), 'fetch', '-q', source, 'trunk:other'])
    const create = (git: object) =>
      workspaces.create(projectId.create(), { git: { url: `${base}/empty.git`, ...git } }, ANN)
    t.match((await refusal(create({}))).message, /default branch .* has no commit/)
    t.match((await refusal(create({ branch: 'none' }))).message, /has no branch none/)
    t.match(await create({ branch: 'other' }), { head: tip })
  })

  t.test('clones a branch without its submodule', async (t) => {
    const id = projectId.create()
    const from = { url: `${base}/repo.git`, branch: 'feature/x' }
    await workspaces.create(id, { git: from, files: [{ path: 'more', content: 'm' }] }, ANN)
    const ws = workspaces.open(id)
    t.same(
      (await ws.list('main')).files.map(({ path }) => path),
      ['.gitattributes', '.gitmodules', 'a.txt', 'link', 'more']
    )
    t.same(await ws.changes(), [])
  })

  t.test('rejects a clone that fails and leaves no folder behind', async (t) => {
    for (const from of [
      { url: `${base}/none.git` },
      { url: `${base}/moved/` },
      { url: `${base}/repo.git`, branch: 'no such branch' },
      { url: `${base}/repo.git`, branch: 'nope' },
      { url: `${base}/repo.git`, branch: '--upload-pack=x' },
      { url: `${base}/repo.git`, branch: '../../heads/main' },
      { url: `${base}/repo.git`, branch: 'a:b' },
      { url: `${base}/repo.git`, branch: '@{-1}' },
      { url: `${base}/repo.git`, branch: 'a\0b' }
    ]) {
      const id = projectId.create()
      t.equal((await refusal(workspaces.create(id, { git: from }, ANN))).code, 'invalid_request')
      t.notOk(existsSync(join(projects, id)), JSON.stringify(from))
    }
    const strict = newWorkspaces(projects, { isAllowedAddress: () => true })
    const unknown = strict.create(projectId.create(), { git: { url: `${base}/repo.git` } }, ANN)
    t.equal((await refusal(unknown)).code, 'invalid_request', 'an unknown certificate authority')
  })
})

/** A bare repository whose commit names the same few objects again and again: `width` to the power of `levels` files. */
function givenRepeatingTrees(
  dir: string,
  name: string,
  levels: number,
  width: number,
  leaf?: Buffer
) {
  const repo = join(dir, name)
  const git = (args: readonly string[], input: string | Buffer = '') =>
    execFileSync('git', ['--git-dir', repo, ...args], { input, stdio: 'pipe' })
      .toString()
      .trim()
  execFileSync('git', ['init', '-q', '--bare', '-b', 'main', repo])
  let entry = leaf
    ? `100644 blob ${git(['hash-object', '-w', '--stdin'], leaf)}`
    : `040000 tree ${git(['mktree'])}`
  for (let level = 0; level < levels; level += 1) {
    const lines = Array.from({ length: width }, (_, n) => `${entry}\tf${n}\n`)
    entry = `040000 tree ${git(['mktree'], lines.join(''))}`
  }
  const author = ['-c', 'user.name=Up', '-c', 'user.email=up@x']
  const commit = git([...author, 'commit-tree', '-m', 'many', entry.split(' ')[2] ?? ''])
  git(['update-ref', 'refs/heads/main', commit])
}

t.test('refuses a small repository with a huge checkout, and names the limit', async (t) => {
  const { dir, cert, base } = await forge(t)
  const rules = { isAllowedAddress: () => true, authorities: cert }
  const projects = folder(t)
  const clone = async (name: string, more = {}) => {
    const id = projectId.create()
    const workspaces = newWorkspaces(projects, { ...rules, ...more })
    const started = performance.now()
    const git = { url: `${base}/${name}` }
    const error = await refusal(workspaces.create(id, { git }, ANN))
    t.notOk(existsSync(join(projects, id)), `${name} leaves no folder behind`)
    t.ok(performance.now() - started < 30_000, `${name} is refused soon`)
    return error
  }

  givenRepeatingTrees(dir, 'bytes.git', 5, 8, Buffer.alloc(38_000, 'x'))
  t.match(await clone('bytes.git'), {
    code: 'invalid_request',
    message: /limit is 1073741824 bytes/,
    facts: { limitBytes: 1024 ** 3 }
  })
  givenRepeatingTrees(dir, 'files.git', 10, 10, Buffer.from('x'))
  t.match(await clone('files.git'), {
    code: 'invalid_request',
    message: /limit is 50000 files/,
    facts: { limitFiles: 50_000 }
  })
  givenRepeatingTrees(dir, 'folders.git', 10, 10)
  t.match(await clone('folders.git'), { code: 'invalid_request' }, 'folders without files')

  givenRepeatingTrees(dir, 'few.git', 1, 5, Buffer.from('12345'))
  const allowed = { limits: { filesMax: 5, bytesMax: 25 } }
  const made = newWorkspaces(projects, { ...rules, ...allowed }).create(
    projectId.create(),
    { git: { url: `${base}/few.git` } },
    ANN
  )
  t.match(await made, { head: /^[0-9a-f]{40}$/ }, 'exactly the limits are allowed')
  t.match(await clone('few.git', { limits: { filesMax: 4, bytesMax: 25 } }), {
    facts: { limitFiles: 4 }
  })
  t.match(await clone('few.git', { limits: { filesMax: 5, bytesMax: 24 } }), {
    facts: { limitBytes: 24 }
  })
})

/** A bare repository whose objects other tools could have written. */
function givenFaultyRepository(dir: string, name: string, entries: string, zone: string) {
  const repo = join(dir, name)
  const git = (args: readonly string[], input: string | Buffer = '') =>
    execFileSync('git', ['--git-dir', repo, ...args], { input, stdio: 'pipe' })
      .toString()
      .trim()
  const write = (type: string, content: string | Buffer) =>
    git(['hash-object', '-w', '-t', type, '--literally', '--stdin'], content)
  execFileSync('git', ['init', '-q', '--bare', '-b', 'main', repo])
  const blob = Buffer.from(write('blob', 'hello\n'), 'hex')
  const folder = Buffer.from(write('tree', Buffer.concat([Buffer.from('100644 a\0'), blob])), 'hex')
  const tree = write('tree', Buffer.concat([Buffer.from(entries), folder]))
  const people = `author A <a@b> 0 ${zone}\ncommitter A <a@b> 0 ${zone}\n`
  git(['update-ref', 'refs/heads/main', write('commit', `tree ${tree}\n${people}\nx\n`)])
  return tree
}

t.test('clones a repository with harmless faults, and names the object of any other', async (t) => {
  const { dir, cert, base } = await forge(t)
  const rules = { isAllowedAddress: () => true, authorities: cert }
  const workspaces = newWorkspaces(folder(t), rules)
  givenFaultyRepository(dir, 'harmless.git', '040000 d\0', '+051800')
  const id = projectId.create()
  await workspaces.create(id, { git: { url: `${base}/harmless.git` } }, ANN)
  const ws = workspaces.open(id)
  t.equal(String((await ws.read('d/a')).content), 'hello\n')
  t.same(await ws.changes(), [])

  const tree = givenFaultyRepository(dir, 'evil.git', '40000 .git\0', '+0000')
  const evil = workspaces.create(projectId.create(), { git: { url: `${base}/evil.git` } }, ANN)
  t.match(await refusal(evil), {
    code: 'invalid_request',
    message: `object that git refuses: ${tree} (hasDotgit: `,
    facts: { object: tree, fault: 'hasDotgit' }
  })
})
