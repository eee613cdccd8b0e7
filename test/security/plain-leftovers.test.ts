import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import {
  clearFolder,
  folderOf,
  makeFolder,
  writeNote
} from '../../supervisor/process/agent-folder.ts'
import { allProcesses, processesWith, untilGone } from '../helpers/processes.ts'
import { givenRooms } from '../helpers/rooms/given-rooms.ts'

/** Numbers of seconds that no other process sleeps for: they identify the processes of this test. */
let last = 7_000_000 + process.pid * 10
const sleeper = (t: Test) => {
  const command = `sleep ${(last += 1)}`
  t.teardown(async () => {
    for (const pid of await pidsOf(command)) process.kill(pid, 'SIGKILL')
  })
  return command
}
const pidsOf = async (command: string) =>
  (await allProcesses())
    .filter((each) => each.command === command.replace(' ', '\0') + '\0')
    .map(({ pid }) => pid)

/** Starts an orphan, as a command that has ended leaves one behind. */
async function orphan(command: string, cwd: string): Promise<void> {
  const child = spawn(
    '/bin/sh',
    ['-c', `env -i setsid ${command} > /dev/null 2>&1 < /dev/null &`],
    {
      cwd,
      stdio: 'ignore'
    }
  )
  await once(child, 'exit')
  while ((await pidsOf(command)).length === 0) await sleep(10)
}

t.test('a room without isolation ends what has left its session and its environment', async (t) => {
  const rooms = await givenRooms(t, 'plain')
  const folder = await realpath(rooms.folder)
  await mkdir(join(folder, 'one/worktree'), { recursive: true })
  const [older, elsewhere, child, terminal] = [sleeper(t), sleeper(t), sleeper(t), sleeper(t)]
  await orphan(older, join(folder, 'one/worktree'))
  // Ages are compared in the kernel's ticks.
  await sleep(50)

  const { room, worktree, sh } = await rooms.open('one')
  await orphan(elsewhere, '/')
  const ours = spawn('sleep', [child.split(' ')[1] ?? ''], { cwd: worktree, stdio: 'ignore' })
  await once(ours, 'spawn')
  const shell = spawn('script', ['-qec', terminal, '/dev/null'], {
    cwd: worktree,
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true
  })
  await once(shell, 'spawn')

  const [inside, below, open] = [sleeper(t), sleeper(t), sleeper(t)]
  await sh(`env -i setsid ${inside} > /dev/null 2>&1 < /dev/null &`)
  await sh(`(cd /; env -i setsid sh -c 'cd ${worktree} && ${below}; true' > /dev/null 2>&1 &)`)
  await sh(`cd /; env -i setsid ${open} > ${worktree}/open 2>&1 < /dev/null &`)
  for (const command of [inside, below, open, terminal]) {
    while ((await pidsOf(command)).length === 0) await sleep(10)
  }

  await room.kill()
  for (const command of [inside, below, open]) await untilGone(command.replace(' ', '\0'))
  t.same(await room.processes(), [])
  for (const command of [older, elsewhere, child, terminal]) {
    t.equal((await pidsOf(command)).length, 1, 'another process is left alone')
  }
  shell.kill('SIGKILL')
  ours.kill('SIGKILL')
})

t.test('the next server ends them when the one before was killed', async (t) => {
  const rooms = await givenRooms(t, 'plain')
  const agents = await realpath(rooms.folder)
  const folder = folderOf(agents, 'prj')
  const worktree = join(agents, 'worktree')
  await mkdir(worktree)
  await makeFolder(folder)
  await writeNote(folder, { marker: `marker-${process.pid}`, worktree })
  const [left, other] = [sleeper(t), sleeper(t)]
  await orphan(left, worktree)
  await orphan(other, '/')
  t.equal(await clearFolder(folder), 'killed')
  t.same(await processesWith(left.replace(' ', '\0')), [])
  t.equal((await pidsOf(other)).length, 1)
})
