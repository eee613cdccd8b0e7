import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { findMarked } from './tree.ts'

/** An agent without a room, by what its processes are found. */
export interface PlainAgent {
  readonly marker: string
  /** Its worktree and its own folders. */
  readonly folders: readonly string[]
  /** No process of it is older: kernel ticks since this start of the machine. */
  readonly since: number
  readonly boot: string
  /** The control groups of its server, as /proc shows them; a user's login has others. */
  readonly cgroups: string
}

export interface ProcessFacts {
  readonly pid: number
  readonly parent: number
  readonly session: number
  readonly hasTerminal: boolean
  readonly born: number
}

const TICKS_PER_SECOND = 100

/** What identifies the processes of an agent that starts now. */
export function plainAgent(marker: string, folders: readonly string[]): PlainAgent {
  const uptime = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0])
  const since = Math.floor(uptime * TICKS_PER_SECOND)
  return { marker, folders, since, boot: bootOf(), cgroups: cgroupsOf('self') }
}

/**
 * The processes of an agent without a room: those that carry its marker, their descendants and sessions, and orphans that
 * have taken the marker out of their environment and still use the agent's folders. `decideProcesses` says what is
 * never among them.
 */
export async function findAgentProcesses(agent: PlainAgent): Promise<number[]> {
  const marked = new Set(await findMarked(new Set([agent.marker])))
  if (agent.boot !== bootOf()) return [...marked]
  const all = new Map(
    readdirSync('/proc').flatMap((name) => {
      const facts = factsOf(Number(name))
      return facts ? [[facts.pid, facts] as const] : []
    })
  )
  return decideProcesses(all, marked, {
    server: process.pid,
    since: agent.since,
    usesFolders: (pid) => isOfServer(pid, agent.cgroups) && usesFolders(pid, agent.folders)
  })
}

export interface DecisionFacts {
  readonly server: number
  readonly since: number
  /** It has the server's user and control groups, and its folder, its program or an open file is the agent's. */
  readonly usesFolders: (pid: number) => boolean
}

/**
 * Which of these processes are the agent's. Never a process that is older than the agent, the server or what started it,
 * nor one that another program has started: apart from descendants and sessions of marked processes only orphans count,
 * which the kernel has given to the first process or to one above the server. An orphan with a terminal, also one of a
 * descendant, belongs to a person: a shell, an editor, a terminal multiplexer.
 */
export function decideProcesses(
  all: ReadonlyMap<number, ProcessFacts>,
  marked: ReadonlySet<number>,
  { server, since, usesFolders }: DecisionFacts
): number[] {
  const above = ancestorsOf(all, server)
  const young = [...all.values()].filter(
    ({ pid, born }) => born >= since && pid !== server && !above.has(pid)
  )
  const found = new Set(marked)
  const spread = () => {
    for (let before = -1; before !== found.size;) {
      before = found.size
      const sessions = new Set([...found].map((pid) => all.get(pid)?.session))
      sessions.delete(all.get(server)?.session)
      for (const { pid, parent, session } of young) {
        if (found.has(parent) || sessions.has(session)) found.add(pid)
      }
    }
  }
  spread()
  const isOrphan = ({ parent }: ProcessFacts) =>
    parent === 1 || (above.has(parent) && !all.get(parent)?.hasTerminal)
  for (const orphan of young.filter((each) => !found.has(each.pid) && isOrphan(each))) {
    const family = young.filter(({ pid }) => pid === orphan.pid || isBelow(all, pid, orphan.pid))
    if (family.some(({ hasTerminal }) => hasTerminal)) continue
    if (family.some(({ pid }) => usesFolders(pid))) found.add(orphan.pid)
  }
  spread()
  return [...found]
}

function ancestorsOf(all: ReadonlyMap<number, ProcessFacts>, pid: number): Set<number> {
  const above = new Set<number>()
  for (let at = all.get(pid)?.parent; at && !above.has(at); at = all.get(at)?.parent) above.add(at)
  return above
}

const isBelow = (all: ReadonlyMap<number, ProcessFacts>, pid: number, ancestor: number) =>
  ancestorsOf(all, pid).has(ancestor)

function factsOf(pid: number): ProcessFacts | undefined {
  if (!(pid > 0)) return undefined
  const stat = read(`/proc/${pid}/stat`)
  // The second field is the program's name in brackets, and can contain any character.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  if (fields.length < 20 || fields[0] === 'Z') return undefined
  const [parent = 0, , session = 0, terminal = 0] = fields.slice(1, 5).map(Number)
  return { pid, parent, session, hasTerminal: terminal !== 0, born: Number(fields[19]) }
}

function isOfServer(pid: number, cgroups: string): boolean {
  const owner = statSync(`/proc/${pid}`, { throwIfNoEntry: false })?.uid
  return owner === process.getuid?.() && cgroupsOf(pid) === cgroups
}

const bootOf = () => read('/proc/sys/kernel/random/boot_id')
const cgroupsOf = (pid: number | 'self') => read(`/proc/${pid}/cgroup`)

function usesFolders(pid: number, folders: readonly string[]): boolean {
  const isBelow = (path: string) =>
    folders.some((folder) => path === folder || path.startsWith(`${folder}/`))
  const open = names(`/proc/${pid}/fd`).map((name) => `fd/${name}`)
  return ['cwd', 'exe', 'root', ...open].some((name) => isBelow(target(`/proc/${pid}/${name}`)))
}

// What cannot be read has exited meanwhile, or belongs to another user and so to no agent.
const read = (path: string) => orElse(() => readFileSync(path, 'utf8'), '')
const target = (path: string) => orElse(() => readlinkSync(path), '')
const names = (path: string) => orElse(() => readdirSync(path), [])

function orElse<T>(attempt: () => T, otherwise: T): T {
  try {
    return attempt()
  } catch {
    return otherwise
  }
}
