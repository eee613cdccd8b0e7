import t from 'tap'
import { isPublicAddress } from '#net'

t.test('accepts addresses of the public internet', async (t) => {
  for (const address of [
    '1.1.1.1',
    '140.82.121.3',
    '100.63.255.255',
    '172.32.0.1',
    '2606:4700::1',
    '2a00::1'
  ]) {
    t.ok(isPublicAddress(address), address)
  }
})

t.test('rejects private, reserved and translated addresses', async (t) => {
  for (const address of [
    '0.0.0.0',
    '127.0.0.1',
    '127.255.0.1',
    '10.0.0.1',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '198.18.0.1',
    '224.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    'fe80::1',
    'fc00::1',
    'fd12::1',
    'ff02::1',
    '::ffff:127.0.0.1',
    '::ffff:1.1.1.1',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
    '2001:0:1::',
    '2001:db8::1',
    '::127.0.0.1'
  ]) {
    t.notOk(isPublicAddress(address), address)
  }
})
