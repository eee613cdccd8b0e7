import { request } from 'node:http'
import { json } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import type { ProjectId } from '#kernel/ids.ts'
import { givenDoors } from './given-doors.ts'
import { listen } from './stream/given-socket.ts'

async function given(t: Test, files: Record<string, string> = {}) {
  const doors = await givenDoors(t)
  const ada = await doors.person(0)
  const id = (await ada.project(files)) as ProjectId
  const at = (path: string) => `/projects/${id}/files/${path}`
  return { doors, ada, id, at }
}

t.test('a file is saved, read, listed and deleted, each save a commit', async (t) => {
  const { ada, id, at } = await given(t, { 'b.txt': 'b' })
  const created = await ada.call('PUT', at('a/ü.txt'), { content: 'grüße\r\n' })
  t.match(created, { status: 201, body: { path: 'a/ü.txt', commit: /^[0-9a-f]{40}$/ } })
  const saved = await ada.call('PUT', at('a/%C3%BC.txt'), { content: 'x', message: 'Say x' })
  t.match(saved, { status: 200 })
  t.not(saved.body.commit, created.body.commit)

  const read = await ada.call('GET', at('a/ü.txt'))
  t.same(read.body, {
    path: 'a/ü.txt',
    content: 'x',
    encoding: 'utf-8',
    sha: saved.body.sha,
    size: 1
  })
  const list = await ada.call('GET', `/projects/${id}/files`)
  t.same(
    list.body.files.map(({ path }: { path: string }) => path),
    ['a/ü.txt', 'b.txt']
  )
  t.equal(list.body.head, saved.body.commit)
  const before = await ada.call('GET', `/projects/${id}/files?at=${created.body.commit}`)
  t.match(before.body.files, [{ path: 'a/ü.txt', sha: created.body.sha }, { path: 'b.txt' }])

  t.match(await ada.call('DELETE', at('a/ü.txt')), { status: 200, body: { path: 'a/ü.txt' } })
  t.match(await ada.call('GET', at('a/ü.txt')), { status: 404, body: { code: 'not_found' } })
  t.match(await ada.call('DELETE', at('a/ü.txt')), { status: 404 })
})

t.test('bytes come back as they were sent', async (t) => {
  const { ada, at } = await given(t)
  for (const [bytes, encoding] of [
    [Buffer.from('\ufeffwith a mark'), 'utf-8'],
    [Buffer.from('a\0b'), 'utf-8'],
    [Buffer.from(''), 'utf-8'],
    [Buffer.from('🙂'), 'utf-8'],
    [Buffer.from([0xff, 0xfe, 0]), 'base64'],
    [Buffer.from([0xed, 0xa0, 0x80]), 'base64']
  ] as const) {
    const content = bytes.toString('base64')
    await ada.call('PUT', at('f'), { content, encoding: 'base64' })
    const { body } = await ada.call('GET', at('f'))
    t.equal(body.encoding, encoding)
    t.same(Buffer.from(body.content, encoding === 'base64' ? 'base64' : 'utf8'), bytes)
    const again = await ada.call('PUT', at('f'), { content: body.content, encoding })
    t.equal(again.body.sha, body.sha, 'what was read can be saved')
  }
})

t.test('base64 is exactly base64', async (t) => {
  const { ada, at } = await given(t)
  for (const content of [
    'a',
    'ab=',
    'YQ',
    'YQ=',
    'YR==',
    'YQ==\n',
    'Y Q==',
    '_-8=',
    '====',
    '%%'
  ]) {
    const answer = await ada.call('PUT', at('f'), { content, encoding: 'base64' })
    t.match(answer, { status: 400, body: { code: 'invalid_request' } }, JSON.stringify(content))
  }
})

t.test('answers 304 to a client that has the current version of the file', async (t) => {
  const { ada, at } = await given(t, { f: '1' })
  const { headers, body } = await ada.call('GET', at('f'))
  t.equal(headers['etag'], `"${body.sha}"`)
  for (const [tags, status] of [
    [`"${body.sha}"`, 304],
    [`W/"${body.sha}"`, 304],
    [`"other", "${body.sha}"`, 304],
    ['*', 304],
    ['"other"', 200],
    [body.sha, 400]
  ] as const) {
    const answer = await ada.call('GET', at('f'), undefined, { 'if-none-match': tags })
    t.equal(answer.status, status, tags)
    if (status === 304) {
      t.equal(answer.text, '')
      t.equal(answer.headers['etag'], headers['etag'])
    }
  }
})

t.test('a save with conditions happens only under them', async (t) => {
  const { ada, at } = await given(t, { f: '1' })
  const sha = async () => (await ada.call('GET', at('f'))).body.sha as string
  const save = (headers: Record<string, string>, path = 'f') =>
    ada.call('PUT', at(path), { content: String(Math.random()) }, headers)

  const first = await sha()
  t.equal((await save({ 'if-match': `"${first}"` })).status, 200)
  t.match(await save({ 'if-match': `"${first}"` }), {
    status: 412,
    body: { code: 'file_changed', currentSha: await sha() }
  })
  t.equal((await save({ 'if-match': `"${first}", "${await sha()}"` })).status, 200)
  t.equal((await save({ 'if-match': '*' })).status, 200)
  t.equal((await save({ 'if-match': `W/"${await sha()}"` })).status, 412, 'weak is not enough')
  t.equal((await save({ 'if-match': '*' }, 'new')).status, 412)
  t.equal((await save({ 'if-match': `"a", "b"` }, 'new')).status, 412)
  t.equal((await save({ 'if-none-match': '*' })).status, 412)
  t.equal((await save({ 'if-none-match': '*' }, 'new')).status, 201)
  t.equal((await save({ 'if-none-match': `"${first}"` })).status, 400)
  t.equal((await save({ 'if-match': first })).status, 400)

  const stale = await ada.call('DELETE', at('f'), undefined, { 'if-match': `"${first}"` })
  t.equal(stale.status, 412)
  const fresh = await ada.call('DELETE', at('f'), undefined, { 'if-match': `"${await sha()}"` })
  t.equal(fresh.status, 200)
})

t.test('of two saves that know the same file one comes through', async (t) => {
  const { ada, at } = await given(t, { f: '1' })
  const { body } = await ada.call('GET', at('f'))
  const answers = await Promise.all(
    ['a', 'b', 'c', 'd'].map((content) =>
      ada.call('PUT', at('f'), { content }, { 'if-match': `"${body.sha}"` })
    )
  )
  t.same(
    answers.map(({ status }) => status).toSorted((a, b) => a - b),
    [200, 412, 412, 412]
  )
})

/** A request whose path goes out as it is written here: most clients tidy it up. */
async function send(url: string, method: string, path: string, key: string, body?: object) {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: unknown }>()
  const { port } = new URL(url)
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
  const sent = request({ host: '127.0.0.1', port, method, path, headers }, (answer) => {
    json(answer).then((body) => resolve({ status: answer.statusCode ?? 0, body }), reject)
  })
  sent.on('error', reject)
  sent.end(body && JSON.stringify(body))
  return promise
}

t.test('no path leads out of the project', async (t) => {
  const { ada, at, doors } = await given(t, { f: '1' })
  const url = await listen(doors.app)
  const paths = [
    '',
    '/',
    '/etc/passwd',
    '%2Fetc%2Fpasswd',
    '%2e%2e/%2e%2e/x',
    '..%2f..%2fx',
    'a/%2e%2e/%2e%2e/x',
    '.git/config',
    '.GIT/config',
    'a/.git/hooks/x',
    'a%5C..%5Cx',
    'a//b',
    'a/./b',
    'a/%00',
    'x'.repeat(5000),
    'x/'.repeat(100) + 'x'
  ]
  for (const path of paths) {
    for (const [method, body] of [
      ['GET', undefined],
      ['PUT', { content: 'x' }],
      ['DELETE', undefined]
    ] as const) {
      const answer = await send(url, method, at(path), ada.key, body)
      t.ok([400, 404].includes(answer.status), `${method} ${path.slice(0, 40)}`)
      t.match(answer.body, { code: /^(path_not_allowed|invalid_request|not_found)$/ })
    }
  }
})

t.test('a file has a largest size', async (t) => {
  const { ada, at } = await given(t)
  const mib = 1024 * 1024
  const content = Buffer.alloc(10 * mib, 'x').toString('base64')
  t.equal((await ada.call('PUT', at('f'), { content, encoding: 'base64' })).status, 201)
  const more = Buffer.alloc(10 * mib + 1, 'x').toString('base64')
  t.match(await ada.call('PUT', at('f'), { content: more, encoding: 'base64' }), {
    status: 413,
    body: { code: 'payload_too_large' }
  })
  t.match(await ada.call('PUT', at('f'), { content: 'x'.repeat(17 * mib) }), {
    status: 413,
    body: { code: 'payload_too_large', limitBytes: Number, detail: /\d{8} bytes/ }
  })
})

t.test('everybody who watches hears of a save', async (t) => {
  const { ada, id, at } = await given(t)
  const { body: saved } = await ada.call('PUT', at('a'), { content: '1' })
  const { body: deleted } = await ada.call('DELETE', at('a'))
  const { body: page } = await ada.call('GET', `/projects/${id}/events?types=file:changed`)
  t.match(page.items, [
    {
      type: 'file:changed',
      jobId: null,
      data: { path: 'a', sha: saved.sha, commit: saved.commit, by: ada.id }
    },
    { type: 'file:changed', data: { path: 'a', sha: null, commit: deleted.commit, by: ada.id } }
  ])
})

t.test('answers 404 for the files of another user', async (t) => {
  const { doors, at, id } = await given(t, { f: '1' })
  const bob = await doors.person(0)
  for (const [method, url, body] of [
    ['GET', `/projects/${id}/files`, undefined],
    ['GET', at('f'), undefined],
    ['PUT', at('f'), { content: 'x' }],
    ['DELETE', at('f'), undefined]
  ] as const) {
    t.match(await bob.call(method, url, body), { status: 404, body: { code: 'not_found' } })
  }
})
