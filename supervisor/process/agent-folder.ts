import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ProjectId } from '#kernel/ids.ts'
import type { Log } from '#kernel/log.ts'
import { removeTree } from '#kernel/machine/remove-tree.ts'
import { removeFolder as setAside } from '#kernel/machine/removals.ts'
import { birthOf } from '#kernel/machine/process-birth.ts'
import { findAgentProcesses, plainAgent, type PlainAgent } from './agent-processes.ts'
import { killAll, killMarked, signal, signalGroup } from './tree.ts'

/** The folders of an agent's own data. */
export const OWN_FOLDERS = ['home', 'data', 'config', 'state', 'cache', 'tmp'] as const

export interface AgentFolder {
  /** The agent's own data, which it may write. In a sandbox it sees nothing else of the agents' folder. */
  readonly own: string
  /** What the server writes for the agent, which sees it read-only. */
  readonly given: string
  /** The file that names the running process; an agent in a sandbox cannot reach it. */
  readonly note: string
  /** Exists when the project exceeded its quota: the next start removes what can be made again. */
  readonly full: string
}

interface ProcessNote {
  readonly marker: string
  readonly owner: { readonly pid: number; readonly ticks: string | undefined }
  /** Of an agent without a room. */
  readonly agent?: PlainAgent
  readonly pid?: number
  readonly ticks?: string | undefined
}

export const folderOf = (agentsDir: string, projectId: ProjectId | string): AgentFolder => ({
  own: join(agentsDir, projectId, 'own'),
  given: join(agentsDir, projectId, 'given'),
  note: join(agentsDir, projectId, 'process.json'),
  full: join(agentsDir, projectId, 'full')
})

/** Below `own`: what tools and Kilo can make again, and the whole outputs of commands, of which Kilo keeps the beginning elsewhere. */
export const DISPOSABLE = ['tmp', 'cache', 'home/.cache', 'home/.npm', 'data/kilo/tool-output']

/** An empty list of models, among what the agent is given. */
export const MODELS_FILE = 'models.json'

/**
 * Makes the folders of an agent. Nothing is opened below `own`: the agent can replace whatever is there by a link, and the
 * server would follow it with its own rights.
 */
export async function makeFolder(folder: AgentFolder): Promise<void> {
  await mkdir(folder.own, { recursive: true, mode: 0o700 })
  await mkdir(folder.given, { recursive: true, mode: 0o755 })
  await writeFile(join(folder.given, MODELS_FILE), '{}')
}

/**
 * Removes all data of an agent. Nothing of it may run any more. The folder leaves its place first, so that a start that
 * comes meanwhile makes a new one.
 */
export const removeFolder = (
  agentsDir: string,
  projectId: ProjectId,
  log: Pick<Log, 'warn'>
): Promise<void> => setAside(join(agentsDir, projectId), log)

/** Removes what a crash has left in the middle of a probe. */
async function removeProbes(agentsDir: string, names: readonly string[]): Promise<void> {
  for (const name of names.filter((name) => name.startsWith('.probe-'))) {
    await removeTree(join(agentsDir, name))
  }
}

/**
 * Written before the process is spawned and again when its pid is known, so that a crash of ours leaves no unknown process.
 * `worktree`: of an agent without a room, whose processes are also found by the folders that they use.
 */
export async function writeNote(
  folder: AgentFolder,
  { marker, worktree, pid }: { marker: string; worktree: string | undefined; pid?: number }
): Promise<void> {
  const owner = { pid: process.pid, ticks: birthOf(process.pid) }
  const born = pid === undefined ? {} : { pid, ticks: birthOf(pid) }
  const earlier = await readNote(folder)
  const agent =
    earlier?.marker === marker || worktree === undefined
      ? earlier?.agent
      : plainAgent(marker, [worktree, folder.own, folder.given])
  const note: ProcessNote = { marker, owner, ...(agent ? { agent } : {}), ...born }
  // Atomic: a crash in the middle must not lose the marker of a running agent.
  const draft = `${folder.note}.new`
  await writeFile(draft, JSON.stringify(note), { mode: 0o600 })
  await rename(draft, folder.note)
}

/** Removes the note, unless a later start has written its own. */
export async function removeNote(folder: AgentFolder, marker: string): Promise<void> {
  const note = await readNote(folder)
  if (note?.marker === marker) await rm(folder.note, { force: true })
}

/** Kills the process that still runs in this folder, whichever server started it: a data folder serves one process. */
export async function clearFolder(folder: AgentFolder): Promise<'nothing' | 'killed' | 'alive'> {
  const note = await readNote(folder)
  if (!note) return 'nothing'

  if (note.pid !== undefined && note.ticks && birthOf(note.pid) === note.ticks) {
    signal(note.pid, 'SIGKILL')
    signalGroup(note.pid, 'SIGKILL')
  }
  const { agent, marker } = note
  const hasExited = await (agent
    ? killAll(() => findAgentProcesses(agent))
    : killMarked(new Set([marker])))
  if (!hasExited) return 'alive'
  await removeNote(folder, note.marker)
  return 'killed'
}

/** Kills the agents of servers that have exited; those of another running server are left alone. */
export async function clearLeftovers(agentsDir: string): Promise<number> {
  const names = await readdir(agentsDir).catch(() => [])
  await removeProbes(agentsDir, names)
  let cleared = 0
  for (const name of names) {
    const folder = folderOf(agentsDir, name)
    const note = await readNote(folder)
    if (!note || isAlive(note.owner)) continue
    if ((await clearFolder(folder)) === 'killed') cleared += 1
  }
  return cleared
}

async function readNote(folder: AgentFolder): Promise<ProcessNote | undefined> {
  const text = await readFile(folder.note, 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  try {
    return JSON.parse(text) as ProcessNote
  } catch {
    // Not one of our notes: they are written atomically.
    return undefined
  }
}

const isAlive = (owner: ProcessNote['owner']) =>
  owner.ticks !== undefined && birthOf(owner.pid) === owner.ticks
