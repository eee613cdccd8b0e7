import { createServer } from 'node:net'
import t from 'tap'
import { givenProxy, listening } from './given-proxy.ts'

/** Spellings of addresses that no room may reach, in a request for every host and port. */
const ADDRESSES = [
  '127.0.0.1',
  '127.0.0.1.',
  '127.1',
  '127.0.1',
  '127.1.2.3',
  '2130706433',
  '0x7f000001',
  '0x7f.0.0.1',
  '0X7F.1',
  '0177.0.0.1',
  '017700000001',
  '127.0.0.0x1',
  '127.000.000.001',
  '0',
  '0.0.0.0',
  '0x0',
  '[::]',
  '[::1]',
  '[0:0:0:0:0:0:0:1]',
  '[0000:0000:0000:0000:0000:0000:0000:0001]',
  '[::ffff:127.0.0.1]',
  '[::FFFF:7F00:1]',
  '[::127.0.0.1]',
  '[::ffff:0:127.0.0.1]',
  '[64:ff9b::127.0.0.1]',
  '[64:ff9b:1::7f00:1]',
  '[2002:7f00:1::]',
  '[2001:0:7f00:1::]',
  '[::1%lo]',
  '[::1%25lo]',
  '[fe80::1]',
  '[fe80::1%eth0]',
  '::1',
  '10.0.0.1',
  '012.0.0.1',
  '172.16.0.1',
  '192.168.0.1',
  '3232235521',
  '100.64.0.1',
  '100.100.100.200',
  '168.63.129.16',
  '169.254.169.254',
  '0xa9fea9fe',
  '2852039166',
  '0251.0376.0251.0376',
  '169.254.43518',
  '[::ffff:169.254.169.254]',
  '[64:ff9b::a9fe:a9fe]',
  '[fd00:ec2::254]',
  '[fd20:ce::254]',
  '[fc00::1]',
  '[ff02::1]',
  '224.0.0.1',
  '239.255.255.250',
  '255.255.255.255',
  '198.18.0.1',
  '１２７.0.0.1',
  '127。0。0。1',
  '①②⑦.0.0.1',
  '127.0.0.1%00.example.com',
  'user@127.0.0.1',
  'example.com@127.0.0.1',
  '127.0.0.1#example.com',
  '127.0.0.1\\example.com'
]

/** Names that lead there, as the machine’s DNS would answer. */
const NAMES: Readonly<Record<string, readonly string[]>> = {
  localhost: ['127.0.0.1', '::1'],
  'localtest.example': ['127.0.0.1'],
  'metadata.google.internal': ['169.254.169.254'],
  'six.example': ['::1'],
  'mapped.example': ['::ffff:10.0.0.1'],
  'nat64.example': ['64:ff9b::7f00:1'],
  'link.example': ['fe80::1'],
  'zone.example': ['fe80::1%eth0'],
  'xn--80ak6aa92e.example': ['192.168.0.1'],
  'a.b.c.d.e.example': ['10.0.0.1', '172.16.0.1']
}

t.test('refuses each spelling of a forbidden address', async (t) => {
  const reached: string[] = []
  const port = await listening(
    t,
    createServer((socket) => reached.push(String(socket.end('secret').remoteAddress)))
  )
  const { tunnel, exchange, refusals } = await givenProxy(t, '*:*', {
    resolve: (name) => Promise.resolve(NAMES[name] ?? [])
  })
  const names = Object.keys(NAMES).flatMap((name) => [name, `${name.toUpperCase()}.`])
  t.ok(ADDRESSES.length > 27)
  for (const host of [...ADDRESSES, ...names]) {
    const { answer } = await tunnel(`${host}:${port}`)
    t.match(answer, /^HTTP\/1\.1 40[03] /, `CONNECT ${host}`)
    const plain = await exchange(`GET http://${host}:${port}/ HTTP/1.1\r\nHost: x\r\n\r\n`)
    t.match(plain.answer, /^HTTP\/1\.1 40[03] /, `GET ${host}`)
    t.notMatch(answer + plain.answer, 'secret')
  }
  t.same(reached, [])
  const reasons = new Set(refusals.map(({ reason }) => reason))
  t.same([...reasons].toSorted(), ['malformed', 'private_address'])
  for (const { host, text } of refusals) t.match(host + text, /^[\x20-\x7e]+$/, 'printable')
})

t.test('refuses metadata services to a private host as well', async (t) => {
  const { tunnel } = await givenProxy(t, 'inside.example:*!private', {
    resolve: () => Promise.resolve(['169.254.169.254', 'fd00:ec2::254', '0.0.0.0', 'fe80::1'])
  })
  t.match((await tunnel('inside.example:80')).answer, /^HTTP\/1\.1 403 .*no public address/)
})

t.test('connects to the addresses that it checked, whatever a second answer says', async (t) => {
  let asked = 0
  const secret = createServer((socket) => socket.end('secret'))
  const port = await listening(t, secret)
  const { tunnel } = await givenProxy(t, 'rebinding.example:*', {
    resolve: () => Promise.resolve(asked++ === 0 ? ['192.0.2.1'] : ['127.0.0.1']),
    limits: { connectMs: 200 }
  })
  t.match((await tunnel(`rebinding.example:${port}`)).answer, /403/)
  t.equal(asked, 1, 'one request resolves once')
  t.match((await tunnel(`rebinding.example:${port}`)).answer, /403/)
  t.equal(asked, 2)
})
