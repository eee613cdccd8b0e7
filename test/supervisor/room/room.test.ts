import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { ENV, givenRooms } from '../../helpers/rooms/given-rooms.ts'
import { processesWith, untilGone } from '../../helpers/processes.ts'

/** Answers what it is sent, after the other side has ended, and then ends: it needs a half-open connection. */
const ECHO = `
  const port = Number(process.argv[1])
  require('node:net').createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket))
    .listen(port, '127.0.0.1', () => console.log('listening'))
`

for (const kind of ['bubblewrap', 'plain'] as const) {
  t.test(`a ${kind} room`, async (t) => {
    const { problem, open, folder } = await givenRooms(t, kind)
    if (problem !== undefined) return t.plan(0, problem)
    const { room, marker, worktree, sh } = await open()
    const node = kind === 'plain' ? process.execPath : '/opt/node/node'
    const spawn = (argv: readonly [string, ...string[]], more = {}) =>
      room.spawn({ argv, env: ENV, cwd: room.paths.work, ...more })
    t.equal(room.kind, kind)
    t.equal(room.network, kind === 'plain' ? 'shared' : 'closed')

    await t.test('runs a command with its own environment and folder', async (t) => {
      t.match(await sh('pwd; echo "to stderr" >&2; exit 3'), {
        code: 3,
        signal: null,
        stdout: `${kind === 'plain' ? worktree : '/work'}\n`,
        stderr: 'to stderr\n',
        cut: undefined
      })
      const { stdout } = await room.run(
        { argv: ['/usr/bin/env'], env: { A: '1' }, cwd: '/' },
        { timeoutMs: 5000, outputBytes: 10_000 }
      )
      const names = stdout.split('\n').map((line) => line.split('=')[0])
      t.ok(names.includes('A') && names.includes('KILOWATT_AGENT'))
      t.notOk(names.some((name) => name === 'PATH' || name === 'HOME'))
    })

    await t.test('rejects a program that cannot be started', async (t) => {
      await t.rejects(spawn(['/nowhere/program']), /ENOENT/)
      await t.rejects(spawn(['/bin/true'], { cwd: '/nowhere' }), /ENOENT/)
    })

    await t.test('bounds the output and the time of a command', async (t) => {
      const limits = { timeoutMs: 30_000, outputBytes: 1000 }
      const command = (line: string) => ({
        argv: ['/bin/sh', '-c', line] as [string, ...string[]],
        env: ENV,
        cwd: '/'
      })
      const long = await room.run(command('yes'), limits)
      t.match(long, { cut: 'bytes', signal: 'SIGKILL' })
      t.equal(long.stdout.length, 1000)
      const slow = command('echo begun; sleep 100 & sleep 100')
      t.match(await room.run(slow, { ...limits, timeoutMs: 300 }), {
        cut: 'time',
        signal: 'SIGKILL',
        stdout: 'begun\n'
      })
    })

    await t.test('streams standard input and output, byte for byte', async (t) => {
      const cat = await spawn(['/bin/cat'], { stdin: 'pipe' })
      const sent = Buffer.alloc(3_000_000, 'all 256 bytes \u0000 and more ')
      cat.stdin?.end(sent)
      t.ok(sent.equals(await buffer(cat.stdout)))
      t.same(await cat.exited, { code: 0, signal: null })
    })

    await t.test('stops a producer whose output is not read', async (t) => {
      const yes = await spawn(['/usr/bin/yes'])
      const cpu = async () => (await room.stats()).cpuMs
      await sleep(500)
      const before = await cpu()
      await sleep(500)
      t.ok((await cpu()) - before < 250, 'the producer waits')
      yes.stdout.destroy()
      const { code, signal } = await yes.exited
      t.ok(code === 1 || signal === 'SIGPIPE', 'a closed output ends it')
    })

    await t.test('signals a process, or also its children', async (t) => {
      const trap = `trap 'echo stopped; exit 0' TERM; sleep 100 & echo ready; wait`
      const polite = await spawn(['/bin/bash', '-c', trap])
      await once(polite.stdout, 'data')
      await polite.signal('SIGTERM')
      t.match(await polite.exited, { code: 0 })
      await polite.signal('SIGTERM')

      const family = await spawn(['/bin/bash', '-c', 'sleep 4711 & echo ready; wait'])
      await once(family.stdout, 'data')
      await family.signal('SIGKILL', 'group')
      t.match(await family.exited, { signal: 'SIGKILL' })
      t.equal((await sh('pgrep -f "sleep 471[1]"')).stdout, '')
    })

    await t.test('ends a process with its output when that was asked for', async (t) => {
      const bound = await spawn(['/bin/sleep', '4712'], { endsWithOutput: true })
      bound.stdout.destroy()
      t.match(await bound.exited, { signal: 'SIGKILL' })
    })

    await t.test('connects to a port inside, in both directions and half-open', async (t) => {
      const port = await room.freePort()
      const echo = await spawn([node, '-e', ECHO, String(port)])
      await once(echo.stdout, 'data')
      t.ok((await room.ports()).includes(port))

      const many = Array.from({ length: 20 }, async (_, at) => {
        const connection = await room.connect(port)
        const sent = Buffer.alloc(500_000 + at, `connection ${at} `)
        connection.end(sent)
        return sent.equals(await buffer(connection))
      })
      t.ok((await Promise.all(many)).every(Boolean), 'every byte of 20 connections')
      await echo.signal('SIGKILL')
      await echo.exited
      await t.rejects(room.connect(port), /ECONNREFUSED/)
    })

    await t.test('offers services of the server at a port inside', async (t) => {
      const reading = (port: number) =>
        sh(`exec 3<>/dev/tcp/127.0.0.1/${port}; echo hello >&3; read -u 3 line; echo "$line"`)
      const accept = (connection: Duplex) =>
        void connection.once('data', (bytes: Buffer) => connection.end(`function ${String(bytes)}`))
      const byFunction = await room.freePort()
      await room.expose('egress', byFunction, { accept })
      t.match(await reading(byFunction), { stdout: 'function hello\n' })

      const server = createServer((socket: Socket) => {
        socket.once('data', (bytes) => socket.end(`socket ${String(bytes)}`))
      })
      const socketPath = join(folder, 's')
      server.listen(socketPath)
      t.teardown(() => server.close())
      const bySocket = await room.freePort()
      await room.expose('model', bySocket, { socketPath })
      t.match(await reading(bySocket), { stdout: 'socket hello\n' })
      await t.rejects(room.expose('model', bySocket, { accept }), /EADDRINUSE/)

      await t.test('and breaks a connection inside whose service has gone', async (t) => {
        const gone = await room.freePort()
        await room.expose('egress', gone, { socketPath: join(folder, 'none') })
        t.match(await reading(gone), { stdout: '\n' })
      })
    })

    await t.test('has no terminals yet, and says so', async (t) => {
      const size = { columns: 80, rows: 24 }
      const shell = { argv: ['/bin/bash'] as [string], env: ENV, cwd: '/' }
      await t.rejects(room.pty(shell, size), /no terminals yet/)
    })

    await t.test('counts processes, memory and CPU', async (t) => {
      const { processes, memoryBytes, cpuMs } = await room.stats()
      t.ok(processes >= (kind === 'plain' ? 0 : 2))
      t.ok(memoryBytes >= 0 && cpuMs >= 0)
    })

    await t.test('ends everything with the room, also daemons', async (t) => {
      const daemon = await spawn([
        '/bin/bash',
        '-c',
        '(setsid bash -c "sleep 4713 & disown; sleep 4714" >/dev/null 2>&1 &); echo ready; sleep 4715'
      ])
      await once(daemon.stdout, 'data')
      await sleep(200)
      t.ok((await processesWith(marker)).length >= 3)
      const output = text(daemon.stdout).catch(() => '')
      await room[Symbol.asyncDispose]()
      await room[Symbol.asyncDispose]()
      t.same(await processesWith(marker), [])
      t.match(await daemon.exited, { signal: 'SIGKILL' })
      t.match(await room.exited, { why: 'asked' })
      await output
      await untilGone(marker)
    })
  })
}
