import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer as createHttpServer } from 'node:http'
import { networkInterfaces } from 'node:os'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { givenRooms } from '../helpers/rooms/given-rooms.ts'

/** What an agent's shell tries in its room. Each test does what an attacker did on the running product. */
async function given(t: Test) {
  const rooms = await givenRooms(t, 'bubblewrap')
  return rooms.problem === undefined ? rooms : t.plan(0, rooms.problem)
}

/** Tries a TCP connection in the shell itself, so that no tool needs to be installed. */
const dial = (host: string, port: number) =>
  `(timeout 3 bash -c 'exec 3<>/dev/tcp/${host}/${port}' && echo reached || echo refused) 2>/dev/null`

t.test('a room reaches nothing but itself', async (t) => {
  const rooms = await given(t)
  if (!rooms) return
  const server = createHttpServer((_request, response) => response.end('secret'))
  server.listen(0, '0.0.0.0')
  t.teardown(() => server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const [mine, other] = [await rooms.open(), await rooms.open()]
  const otherPort = await other.room.freePort()
  await other.room.expose('egress', otherPort, { accept: (connection) => connection.end('x') })

  const own = Object.values(networkInterfaces())
    .flat()
    .flatMap((address) => (address?.family === 'IPv4' ? [address.address] : []))
  const hosts = ['127.0.0.1', 'localhost', '0.0.0.0', '127.1', '2130706433', '::1', ...own]
  const targets = [
    ...hosts.map((host) => [host, port] as const),
    ['::ffff:127.0.0.1', port],
    ...['127.0.0.1', 'localhost'].map((host) => [host, otherPort] as const),
    ...[22, 80, 5432, 6379, 8080].map((known) => ['127.0.0.1', known] as const),
    ['169.254.169.254', 80],
    ['0xa9fea9fe', 80],
    ['2852039166', 80],
    ['fd00:ec2::254', 80],
    ['metadata.google.internal', 80],
    ['1.1.1.1', 443],
    ['8.8.8.8', 53],
    ['registry.npmjs.org', 443]
  ] as const
  for (const [host, port] of targets) {
    t.equal((await mine.sh(dial(host, port))).stdout.trim(), 'refused', `${host} ${port}`)
  }
  t.match(await mine.sh('cat /proc/net/dev | grep -c :'), { stdout: '1\n' }, 'only lo')
  t.notMatch((await mine.sh('ls -la /run /var /etc/resolv.conf 2>&1')).stdout, /docker\.sock/)

  await t.test('and what it serves itself', async (t) => {
    await mine.room.expose('egress', 61_500, { accept: (connection) => connection.end('x') })
    t.match(await mine.sh(dial('127.0.0.1', 61_500)), { stdout: 'reached\n' })
  })
})

t.test('a room shows no file of the machine but the system', async (t) => {
  const rooms = await given(t)
  if (!rooms) return
  const { sh } = await rooms.open()
  await writeFile(join(rooms.folder, 'admin-key'), 'the canary')
  const paths = [
    '/etc/shadow',
    '/etc/ssl/private',
    '/etc/ssh',
    '/etc/hostname',
    '/etc/resolv.conf',
    '/etc/environment',
    '/root',
    '/home',
    '/var',
    '/run',
    '/srv',
    '/mnt',
    '/boot',
    '/sys',
    '/proc/1/root/etc/shadow',
    '/proc/1/cwd/../etc/shadow',
    join(rooms.folder, 'admin-key'),
    '/work/../../admin-key',
    '/kilo/../admin-key'
  ]
  for (const path of paths) {
    t.match(await sh(`cat '${path}' || ls '${path}'`), { stdout: '', code: /[^0]/ }, path)
  }
  const names = (await sh('cat /etc/passwd /etc/group')).stdout
  t.notMatch(names, /root|daemon|www-data/, 'no user of the machine is named')
  const { stdout } = await sh('cat /proc/*/environ /proc/*/cmdline')
  // The test runner adds variables of its own to every process that a test starts.
  const lines = stdout.split('\0').filter((line) => !/^(_TAPJS_|NODE_OPTIONS)/.test(line))
  t.ok(lines.length > 10)
  t.same(
    lines.filter((line) => line.includes(process.cwd())),
    [],
    'nor is a path of the machine'
  )
})

t.test('a room cannot change the kernel’s settings', async (t) => {
  const rooms = await given(t)
  if (!rooms) return
  const { sh } = await rooms.open()
  const setting = '/proc/sys/kernel/printk_ratelimit'
  const before = await readFile(setting, 'utf8')
  for (const command of [
    `echo 77 > ${setting}`,
    'echo 77 > /proc/sys/net/ipv4/ip_forward',
    'echo h > /proc/sysrq-trigger',
    'mount -o remount,rw /proc/sys',
    'umount /proc/sys',
    'mount -t proc proc /tmp',
    'unshare -Ur true',
    'unshare -m true',
    'nsenter -t 1 -m true',
    'chroot / true',
    'mknod /tmp/sda b 8 0',
    'swapoff -a',
    'echo x > /usr/x',
    'echo x > /bin/x',
    'echo x > /dev/x',
    'echo x > /x'
  ]) {
    t.not((await sh(command)).code, 0, command)
  }
  t.equal(await readFile(setting, 'utf8'), before)
  t.match(await sh('grep -E "^(NoNewPrivs|Seccomp|CapEff|CapBnd):" /proc/self/status'), {
    stdout: /CapEff:\s*0+\nCapBnd:\s*0+\nNoNewPrivs:\s*1\nSeccomp:\s*2\n/
  })
})

/** System calls by their numbers, for which no tool is installed: `syscall(number, …)` in Perl, which git needs anyway. */
const CALLS: Readonly<Record<string, string>> = {
  AF_VSOCK: 'syscall(41, 40, 1, 0)',
  AF_PACKET: 'syscall(41, 17, 3, 0)',
  AF_ALG: 'syscall(41, 38, 5, 0)',
  'a netlink socket of netfilter': 'syscall(41, 16, 3, 12)',
  ptrace: 'syscall(101, 16, 1, 0, 0)',
  process_vm_readv: 'syscall(310, 1, 0, 0, 0, 0, 0)',
  userfaultfd: 'syscall(323, 0)',
  io_uring: 'syscall(425, 8, my $x = "\\0" x 200)',
  bpf: 'syscall(321, 0, my $x = "\\0" x 100, 100)',
  keyctl: 'syscall(250, 0, -3, 0)',
  perf_event_open: 'syscall(298, my $x = "\\0" x 128, 0, -1, -1, 0)',
  open_by_handle_at: 'syscall(304, 0, my $x = "\\0" x 100, 0)',
  'the x32 call of getpid': 'syscall(0x40000000 + 39)'
}

t.test('a room refuses system calls that reach further than a room', async (t) => {
  const rooms = await given(t)
  if (!rooms || process.arch !== 'x64') return
  const { sh } = await rooms.open()
  if ((await sh('perl -v')).code !== 0) return t.comment('left out: perl is not installed')
  for (const [name, call] of Object.entries(CALLS)) {
    const { stdout } = await sh(`perl -e 'print ${call} < 0 ? $!+0 : "allowed"'`)
    t.match(stdout, /^(1|38|97)$/, name)
  }
  t.match(await sh(`perl -e 'print syscall(41, 2, 1, 0) > 0 && syscall(41, 16, 3, 0) > 0'`), {
    stdout: '1'
  })
})

t.test('memory outside of a project has a size', async (t) => {
  const rooms = await given(t)
  if (!rooms) return
  const { sh } = await rooms.open()
  for (const folder of ['/tmp', '/dev/shm']) {
    t.match(await sh(`head -c 600M /dev/zero > ${folder}/x`), { stderr: /No space left/ }, folder)
    t.equal((await sh(`rm ${folder}/x`)).code, 0)
  }
})
