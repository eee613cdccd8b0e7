import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ProjectId } from '#kernel/ids.ts'
import { birthOf } from '#kernel/process-birth.ts'
import { killMarked, signal, signalGroup } from './tree.ts'

/** The folders that a Kilo calls its own. */
export const OWN_FOLDERS = ['home', 'data', 'config', 'state', 'cache', 'tmp'] as const

export interface AgentFolder {
  /** What the agent may write: its home, data and so on. In a jail it sees nothing else of us. */
  readonly own: string
  /** Where we write down who runs here; the agent in its jail cannot reach it. */
  readonly note: string
}

interface ProcessNote {
  readonly marker: string
  readonly owner: { readonly pid: number; readonly ticks: string | undefined }
  readonly pid?: number
  readonly ticks?: string | undefined
}

export const folderOf = (agentsDir: string, projectId: ProjectId | string): AgentFolder => ({
  own: join(agentsDir, projectId, 'own'),
  note: join(agentsDir, projectId, 'process.json')
})

/** An empty list of models, in the agent's own folder. */
export const MODELS_FILE = 'models.json'

export async function makeFolder(folder: AgentFolder): Promise<void> {
  for (const name of OWN_FOLDERS) {
    await mkdir(join(folder.own, name), { recursive: true, mode: 0o700 })
  }
  await writeFile(join(folder.own, MODELS_FILE), '{}')
}

/** Written before the process is born and again when its pid is known, so that none is ever unknown to us. */
export async function writeNote(folder: AgentFolder, marker: string, pid?: number): Promise<void> {
  const owner = { pid: process.pid, ticks: birthOf(process.pid) }
  const born = pid === undefined ? {} : { pid, ticks: birthOf(pid) }
  const note: ProcessNote = { marker, owner, ...born }
  // Whole or not at all: a crash in the middle of it must not lose the marker of an agent that lives.
  const draft = `${folder.note}.new`
  await writeFile(draft, JSON.stringify(note), { mode: 0o600 })
  await rename(draft, folder.note)
}

/** Takes the note away, unless a later start has written its own. */
export async function removeNote(folder: AgentFolder, marker: string): Promise<void> {
  const note = await readNote(folder)
  if (note?.marker === marker) await rm(folder.note, { force: true })
}

/** Ends whatever still runs in this folder, whoever started it: one data folder, one process. Or it is still alive. */
export async function clearFolder(folder: AgentFolder): Promise<'nothing' | 'ended' | 'alive'> {
  const note = await readNote(folder)
  if (!note) return 'nothing'

  if (note.pid !== undefined && note.ticks && birthOf(note.pid) === note.ticks) {
    signal(note.pid, 'SIGKILL')
    signalGroup(note.pid, 'SIGKILL')
  }
  if (!(await killMarked(new Set([note.marker])))) return 'alive'
  await removeNote(folder, note.marker)
  return 'ended'
}

/** Ends the agents of servers that are gone; those of another living server stay its own. */
export async function clearLeftovers(agentsDir: string): Promise<number> {
  const names = await readdir(agentsDir).catch(() => [])
  let cleared = 0
  for (const name of names) {
    const folder = folderOf(agentsDir, name)
    const note = await readNote(folder)
    if (!note || isAlive(note.owner)) continue
    if ((await clearFolder(folder)) === 'ended') cleared += 1
  }
  return cleared
}

async function readNote(folder: AgentFolder): Promise<ProcessNote | undefined> {
  const text = await readFile(folder.note, 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  try {
    return JSON.parse(text) as ProcessNote
  } catch {
    // Not written by us: our notes appear whole.
    return undefined
  }
}

const isAlive = (owner: ProcessNote['owner']) =>
  owner.ticks !== undefined && birthOf(owner.pid) === owner.ticks
