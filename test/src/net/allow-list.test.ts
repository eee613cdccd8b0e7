import t from 'tap'
import { findPermission, formatAllowEntry, isReachable, parseAllowEntry, parseHost } from '#net'

const entry = (text: string) => {
  const parsed = parseAllowEntry(text)
  if ('expected' in parsed) throw new Error(`${text}: expected ${parsed.expected}`)
  return parsed.entry
}

t.test('an entry is a host, a port, and a mark', async (t) => {
  for (const [given, usual] of [
    ['registry.example.com', 'registry.example.com:443'],
    ['Registry.Example.COM.:8443', 'registry.example.com:8443'],
    ['*.example.org', '*.example.org:443'],
    ['*.example.org:*', '*.example.org:*'],
    ['*', '*:443'],
    ['*:*', '*:*'],
    ['*:80', '*:80'],
    ['1.1.1.1:53', '1.1.1.1:53'],
    ['[2606:4700:0::1111]', '[2606:4700::1111]:443'],
    ['10.0.0.5:443!private', '10.0.0.5:443!private'],
    ['[::1]:4873!private', '[::1]:4873!private'],
    ['[fd12::1]!private', '[fd12::1]:443!private'],
    ['registry!private', 'registry:443!private'],
    ['localhost:4873!private', 'localhost:4873!private'],
    ['bücher.example', 'xn--bcher-kva.example:443'],
    ['*.bücher.example:80', '*.xn--bcher-kva.example:80'],
    ['_srv.example.com', '_srv.example.com:443']
  ] as const) {
    t.equal(formatAllowEntry(entry(given)), usual, given)
    t.same(entry(usual), entry(given), usual)
  }
})

t.test('an entry that cannot be read says what is expected', async (t) => {
  const FORMS = /^entries like /
  for (const [given, expected] of [
    ['', FORMS],
    ['https://registry.example.com', FORMS],
    ['registry.example.com/path', FORMS],
    ['registry.example.com:443:1', FORMS],
    ['a b', FORMS],
    ['user@host:443', FORMS],
    ['**.example.org', FORMS],
    ['a.*.example.org', FORMS],
    ['*.', FORMS],
    ['*.1.2.3.4', FORMS],
    ['::1:443', FORMS],
    ['[fe80::1%eth0]:443', FORMS],
    ['0x7f.1:443', FORMS],
    ['2130706433', FORMS],
    ['a..b', FORMS],
    ['-a.example', FORMS],
    ['host!public', FORMS],
    ['host!private:443', FORMS],
    ['host:', /^a port from 1 to 65535/],
    ['host:0', /^a port/],
    ['host:65536', /^a port/],
    ['host:0443', /^a port/],
    ['host:https', /^a port/],
    ['*!private', /^!private after one host/],
    ['*.example.org:443!private', /^!private after one host/],
    ['10.0.0.5:443', /^a public address, or 10\.0\.0\.5:443!private$/],
    ['[::1]:443', /!private$/],
    ['１２７.0.0.1:443', /!private$/],
    ['169.254.169.254:80!private', /neither link-local/],
    ['[fd00:ec2::254]:80!private', /neither link-local/],
    ['[::ffff:127.0.0.1]:80!private', /neither link-local/]
  ] as const) {
    const parsed = parseAllowEntry(given)
    t.match('expected' in parsed ? parsed.expected : 'accepted', expected, given)
  }
})

t.test('the list permits hosts and ports', async (t) => {
  const list = ['a.example', '*.b.example:*', '10.0.0.5:80!private', '[fd12::1]!private'].map(entry)
  const ask = (host: string, port: number) => findPermission(list, parseHost(host)!, port)
  const named = { allowsPrivate: false, isNamed: true }
  const chosen = { allowsPrivate: false, isNamed: false }
  for (const [host, port, expected] of [
    ['a.example', 443, named],
    ['A.Example.', 443, named],
    ['a.example', 80, undefined],
    ['x.a.example', 443, undefined],
    ['xa.example', 443, undefined],
    ['b.example', 443, undefined],
    ['xb.example', 443, undefined],
    ['x.b.example', 1, chosen],
    ['x.y.b.example', 65_535, chosen],
    ['b.example.evil.example', 443, undefined],
    ['10.0.0.5', 80, { allowsPrivate: true, isNamed: true }],
    ['10.0.0.6', 80, undefined],
    ['[fd12:0:0::1]', 443, { allowsPrivate: true, isNamed: true }]
  ] as const) {
    t.same(ask(host, port), expected, `${host}:${port}`)
  }
  t.same(findPermission([entry('*')], parseHost('1.1.1.1')!, 443), chosen, '* has every host')
  t.same(findPermission([], parseHost('a.example')!, 443), undefined, 'an empty list has none')
  const both = ['*', 'registry!private'].map(entry)
  t.same(findPermission(both, parseHost('registry')!, 443), { allowsPrivate: true, isNamed: true })
})

t.test('a private host may have a private address, but not every address', async (t) => {
  for (const [address, asPublic, asPrivate] of [
    ['1.1.1.1', true, true],
    ['2606:4700::1111', true, true],
    ['10.0.0.1', false, true],
    ['127.0.0.1', false, true],
    ['192.168.1.1', false, true],
    ['100.64.0.1', false, true],
    ['203.0.113.9', false, true],
    ['::1', false, true],
    ['fd12::1', false, true],
    ['0.0.0.0', false, false],
    ['169.254.169.254', false, false],
    ['100.100.100.200', false, false],
    ['168.63.129.16', false, false],
    ['192.0.0.192', false, false],
    ['224.0.0.1', false, false],
    ['255.255.255.255', false, false],
    ['::', false, false],
    ['fe80::1', false, false],
    ['fe80::1%lo', false, false],
    ['ff02::1', false, false],
    ['fd00:ec2::254', false, false],
    ['fd20:ce::254', false, false],
    ['::ffff:127.0.0.1', false, false],
    ['::ffff:7f00:1', false, false],
    ['64:ff9b::7f00:1', false, false],
    ['2002:7f00:1::', false, false]
  ] as const) {
    t.equal(isReachable(address, false), asPublic, `${address} for a public host`)
    t.equal(isReachable(address, true), asPrivate, `${address} for a private host`)
  }
})
