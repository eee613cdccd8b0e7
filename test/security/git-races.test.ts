import {
  closeSync,
  constants,
  openSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { KILO } from '#workspaces'
import { usableBubblewrap } from '../helpers/rooms/usable-bubblewrap.ts'
import { exchange, hasPerl } from '../helpers/races/exchange.ts'
import { runsOf } from '../helpers/property.ts'
import { ANN, branch, folder, MERGE, newProject } from '../src/workspaces/kit.ts'

/**
 * An agent exchanges a file or folder of its worktree with a symbolic link to something outside of it, as fast as it
 * can, while the server commits, holds, merges and reverts. Without the jail each of these tests fails within seconds.
 */
const RACE_MS = runsOf({ usual: 4000, deep: 60_000 })
const CANARY = 'canary: outside of every worktree'
const OWN = 'own'.padEnd(CANARY.length)
const NAMES = Array.from({ length: 200 }, (_, n) => `f${n}`)
const skip =
  (usableBubblewrap === undefined && 'bubblewrap cannot be used on this machine') ||
  (!hasPerl && 'perl is not installed')

t.test('git stores nothing that a raced link names', { skip }, async (t) => {
  const { outside, project } = await givenTarget(t, { 'a.txt': 'one\n' })
  const { at, git } = project
  // git reads as many bytes as the file had when it looked.
  writeFileSync(at('x'), OWN)
  symlinkSync(join(outside, 'f0'), at('y'))
  await using _attack = await exchange(at('x'), at('y'))

  const rounds = await raced((round) =>
    playJob(project, round, () => writeFileSync(at('file'), String(round)))
  )
  t.ok(rounds > 2, `${rounds} jobs`)
  const blobs = git('cat-file', '--batch-check', '--batch-all-objects')
    .split('\n')
    .flatMap((line) => (line.includes(' blob ') ? [line.split(' ')[0]!] : []))
  t.same(
    blobs.filter((id) => git('cat-file', 'blob', id).includes(CANARY)),
    []
  )
})

t.test('git writes and deletes nothing that a raced link names', { skip }, async (t) => {
  const tracked = Object.fromEntries(NAMES.map((name) => [`x/${name}`, OWN]))
  const { outside, project } = await givenTarget(t, tracked)
  const { at } = project
  symlinkSync(outside, at('y'))
  const before = readdirSync(outside)
  await using _attack = await exchange(at('x'), at('y'))

  const rounds = await raced((round) =>
    playJob(project, round, () => {
      const fd = openOwn(at('x')) ?? openOwn(at('y'))
      if (fd === undefined) return
      for (const name of [...NAMES, `new-${round}`]) {
        writeFileSync(`/proc/self/fd/${fd}/${name}`, `changed ${round}`)
      }
      closeSync(fd)
    })
  )
  t.ok(rounds > 2, `${rounds} jobs`)
  t.same(readdirSync(outside), before)
  const changed = NAMES.filter((name) => readFileSync(join(outside, name), 'utf8') !== CANARY)
  t.same(changed, [])
})

type Project = Awaited<ReturnType<typeof newProject>>

async function givenTarget(t: Test, files: Record<string, string>) {
  const outside = folder(t)
  for (const name of NAMES) writeFileSync(join(outside, name), CANARY)
  const project = await newProject(t, files)
  return { outside, project }
}

/** The agent's own folder, which is at one of two names; undefined when this one is the link. */
function openOwn(path: string): number | undefined {
  try {
    return openSync(path, constants.O_DIRECTORY | constants.O_NOFOLLOW)
  } catch {
    return undefined
  }
}

/** One job: its files are committed, merged and reverted, whatever the agent's exchanges make of each step. */
async function playJob({ ws }: Project, round: number, write: () => void) {
  const name = branch(round + 1)
  const attempt = <T>(step: Promise<T>) => step.catch(() => undefined)
  const started = await attempt(ws.startJob(name))
  write()
  const commit = await attempt(ws.commitJob({ subject: 'x', trailers: {}, author: KILO }))
  if (started && commit) {
    await attempt(ws.mergeJob(name, MERGE))
    await attempt(ws.returnToMain())
    await attempt(ws.revert(started.base, commit, MERGE))
  }
  await attempt(ws.dropWork({ branch: name, later: [] }))
  await attempt(ws.save('saved.txt', Buffer.from(String(round)), { author: ANN }))
}

async function raced(work: (round: number) => Promise<void>): Promise<number> {
  const end = Date.now() + RACE_MS
  let round = 0
  while (Date.now() < end) await work(round++)
  return round
}
