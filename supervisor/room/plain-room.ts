import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type Server } from 'node:net'
import { dirname } from 'node:path'
import { readdir, readFile, readlink } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import getPort from 'get-port'
import { within } from '#kernel/waiting.ts'
import { measure } from '../process/measure.ts'
import { findAgentProcesses, plainAgent } from '../process/agent-processes.ts'
import { limitFromOutside } from '../process/process-limits.ts'
import { killAll, MARKER, signal, signalGroup } from '../process/tree.ts'
import { ROOM_LIMITS } from './room-limits.ts'
import { joinTo } from './room-services.ts'
import type {
  ProcessExit,
  Room,
  RoomCommand,
  RoomExit,
  RoomKind,
  RoomPlan,
  RoomPrograms,
  RoomProcess
} from './room.ts'
import { noTerminals, runCommand } from './run-command.ts'

/**
 * Rooms without isolation: processes of this machine that share its network. For development, and for machines without
 * user namespaces.
 */
export const createPlainRooms = (programs: RoomPrograms): RoomKind => ({
  kind: 'plain',
  network: 'shared',
  uid: 'shared',
  problem: () => Promise.resolve(undefined),
  open: (plan) => Promise.resolve(openPlainRoom(plan, programs))
})

function openPlainRoom(plan: RoomPlan, { kilo, ripgrep }: RoomPrograms): Room {
  const { marker, log } = plan
  const agent = plainAgent(marker, [plan.worktree, plan.own, plan.given])
  const processes = () => findAgentProcesses(agent)
  const running = new Map<number, Promise<ProcessExit>>()
  const servers = new Set<Server>()
  const exited = Promise.withResolvers<RoomExit>()

  const spawnProcess = async (command: RoomCommand) => {
    const started = await spawnPlain({ ...command, env: { ...command.env, [MARKER]: marker } })
    if (plan.limits) limitFromOutside(started.pid, plan.limits)
    running.set(started.pid, started.exited)
    void started.exited.then(() => running.delete(started.pid))
    return started
  }

  const kill = async () => {
    for (const server of servers) server.close()
    for (const pid of running.keys()) signalGroup(pid, 'SIGKILL')
    const ends = Promise.all(running.values())
    const hasExited = await killAll(processes)
    if (!hasExited || (await within(ends, ROOM_LIMITS.killMs)) === undefined) {
      log.error({ marker }, 'room was killed and still runs')
    }
    exited.resolve({ why: 'asked', how: 'was closed' })
  }

  return {
    kind: 'plain',
    network: 'shared',
    pid: undefined,
    exited: exited.promise,
    paths: {
      work: plan.worktree,
      own: plan.own,
      given: plan.given,
      kilo: kilo.path,
      ripgrep: ripgrep && dirname(ripgrep),
      node: dirname(process.execPath)
    },
    spawn: spawnProcess,
    run: (command, limits) => runCommand({ spawn: spawnProcess }, command, limits),
    pty: noTerminals,
    async connect(port) {
      const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
      await once(socket, 'connect')
      return socket
    },
    freePort: () => getPort({ host: '127.0.0.1' }),
    async expose(_service, port, lent) {
      const server = createServer({ allowHalfOpen: true }, (socket) => joinTo(lent, socket))
      servers.add(server)
      server.unref()
      server.listen(port, '127.0.0.1')
      await once(server, 'listening')
    },
    ports: async () => listeningPorts(await processes()),
    processes,
    stats: async () => measure(await processes()),
    kill,
    [Symbol.asyncDispose]: kill
  }
}

async function spawnPlain(command: RoomCommand): Promise<RoomProcess> {
  const [program, ...args] = command.argv
  const child = spawn(program, args, {
    cwd: command.cwd,
    env: { ...command.env },
    // A process group of its own: it can be signalled whole, and does not receive the Ctrl-C of our terminal.
    detached: true,
    stdio: [command.stdin ?? 'ignore', 'pipe', 'pipe']
  })
  let hasExited = false
  const exited = new Promise<ProcessExit>((resolve) => {
    child.once('exit', (code, signal) => {
      hasExited = true
      resolve({ code, signal })
    })
  })
  await once(child, 'spawn')
  const pid = child.pid as number
  const stdout = child.stdout as Readable
  if (command.endsWithOutput) {
    stdout.once('close', () => hasExited || signalGroup(pid, 'SIGKILL'))
  }
  return {
    pid,
    stdin: child.stdin ?? undefined,
    stdout,
    stderr: child.stderr as Readable,
    exited,
    signal(name, target = 'process') {
      // The pid of a process that has exited may belong to another one.
      if (!hasExited) (target === 'group' ? signalGroup : signal)(pid, name)
      return Promise.resolve()
    }
  }
}

const LISTENS = '0A'

/** The ports of the sockets that these processes have open, in the tables of the machine's network. */
async function listeningPorts(pids: readonly number[]): Promise<number[]> {
  const sockets = new Set((await Promise.all(pids.map(socketsOf))).flat())
  const tables = await Promise.all(
    ['tcp', 'tcp6'].map((name) => readFile(`/proc/net/${name}`, 'utf8').catch(() => ''))
  )
  const ports = tables
    .flatMap((table) => table.split('\n').slice(1))
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , , state, , , , , , inode]) => state === LISTENS && sockets.has(inode ?? ''))
    .map(([, local = '']) => Number.parseInt(local.slice(local.lastIndexOf(':') + 1), 16))
  return [...new Set(ports)].toSorted((a, b) => a - b)
}

async function socketsOf(pid: number): Promise<string[]> {
  const names = await readdir(`/proc/${pid}/fd`).catch(() => [])
  const links = await Promise.all(
    names.map((name) => readlink(`/proc/${pid}/fd/${name}`).catch(() => ''))
  )
  return links.flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? [])
}
