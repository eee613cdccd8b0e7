import { randomBytes } from 'node:crypto'
import { access, realpath, rm, writeFile } from 'node:fs/promises'
import type { Clock } from '#kernel/clock.ts'
import type { ProjectId } from '#kernel/ids.ts'
import type { Log } from '#kernel/log.ts'
import { unlessAborted } from '#kernel/waiting.ts'
import {
  clearFolder,
  DISPOSABLE,
  folderOf,
  makeFolder,
  removeNote,
  writeNote,
  type AgentFolder
} from '../process/agent-folder.ts'
import { reachNetwork } from '../egress/access.ts'
import type { AgentLimits } from '../limits/agent-limits.ts'
import type { Egress } from '../egress/egress.ts'
import { createKiloHttp, type KiloHttp } from '../stream/kilo-http.ts'
import type { Room, RoomCommand, RoomService } from '../room/room.ts'
import type { AgentTimes, ModelTimeouts, ProviderAccess } from '../options.ts'
import type { Redact } from '../redact.ts'
import { unavailable } from '../agent-failure.ts'
import { turnPlugin, writeTurnPlugin, type GiveTurnToken } from '../turn/turn-token.ts'
import { kiloConfig } from './kilo-config.ts'
import { kiloEnvironment, ownFolders } from './kilo-environment.ts'
import { spawnKilo, type KiloProcess } from './kilo-process.ts'
import { reachModels } from './model-access.ts'
import type { Runtime } from './runtime.ts'
import { createStartPatience, type StartPatience } from './start-patience.ts'

export interface LaunchPlan {
  readonly projectId: ProjectId
  readonly worktree: string
  readonly runtime: Runtime
  readonly agentsDir: string
  readonly providers: readonly ProviderAccess[]
  readonly modelService?: RoomService | undefined
  /** Undefined: rooms without a network have no way out. */
  readonly egress?: Egress | undefined
  readonly defaultModel: string
  readonly modelTimeouts: ModelTimeouts
  readonly modelRetriesMax: number
  readonly times: AgentTimes
  readonly limits: AgentLimits
  readonly clock: Clock
  readonly log: Log
  readonly password: string
  readonly redact: Redact
}

export interface Launched {
  readonly room: Room
  readonly kilo: KiloProcess
  /** Kilo's address in its room; `http` reaches it. */
  readonly url: string
  readonly http: KiloHttp
  /** The worktree's path in the room, and on this machine. */
  readonly roots: readonly string[]
  /** The folders of this machine that the project's quota is for. */
  readonly folders: readonly string[]
  /** The project has exceeded its quota: the next start removes from the agent's own data what can be made again. */
  readonly noteFull: () => Promise<void>
  readonly giveTurnToken: GiveTurnToken
  /** Has counted since the process was spawned. */
  readonly patience: StartPatience
  /** Removes the process note, so that the folder may be used again after the process has exited. */
  readonly releaseFolder: () => Promise<void>
}

/** Another program may take the port between its choice and Kilo's bind; Kilo reports no more than this. */
const PORT_TAKEN = /ServeError|EADDRINUSE|Unexpected error/
const TRIES = 2

/** Spawns a project's Kilo and waits until it listens. When it rejects, no process is left running. */
export async function launch(plan: LaunchPlan, signal: AbortSignal): Promise<Launched> {
  const folder = folderOf(plan.agentsDir, plan.projectId)
  await makeFolder(folder)
  await plan.egress?.certificates.writeTo(folder.given)
  const earlier = await clearFolder(folder)
  if (earlier === 'alive') throw unavailable('An earlier agent of this project cannot be killed.')
  if (earlier === 'killed') plan.log.warn({}, 'an earlier agent of this project was killed')
  const giveTurnToken = await writeTurnPlugin(folder.given)
  const worktree = await realpath(plan.worktree).catch(() => {
    throw unavailable('The project has no worktree.')
  })

  for (let left = TRIES - 1; ; left--) {
    await using attempt = new AsyncDisposableStack()
    const marker = randomBytes(16).toString('hex')
    const releaseFolder = () => removeNote(folder, marker)
    signal.throwIfAborted()
    attempt.defer(releaseFolder)
    await writeNote(folder, marker)
    const room = attempt.use(await openRoom({ ...plan, worktree }, folder, marker))
    if (room.pid !== undefined) await writeNote(folder, marker, room.pid)
    await clearIfFull(room, folder)
    const port = await room.freePort()
    const kilo = await spawnAgent({ ...plan, worktree }, room, port)
    await writeNote(folder, marker, kilo.pid)

    const patience = createStartPatience(kilo, plan.times, plan.clock)
    const problem = await unlessAborted(listeningProblem(kilo, patience), signal)
    if (problem === undefined) {
      attempt.move()
      const http = createKiloHttp(() => room.connect(port))
      void kilo.exited.then(() => http[Symbol.asyncDispose]())
      const roots = [...new Set([room.paths.work, worktree])]
      const url = `http://127.0.0.1:${port}`
      const folders = [worktree, folder.own]
      const noteFull = () => writeFile(folder.full, '')
      const given = { folders, giveTurnToken, noteFull, patience, releaseFolder }
      return { room, kilo, http, roots, url, ...given }
    }
    if (left === 0 || !PORT_TAKEN.test(problem)) throw unavailable(problem)
  }
}

const openRoom = (plan: LaunchPlan, { own, given }: AgentFolder, marker: string) =>
  plan.runtime.rooms
    .open({
      marker,
      own,
      given,
      worktree: plan.worktree,
      // No file can be larger than everything together.
      limits: { ...plan.limits, fileBytesMax: plan.limits.quotaBytes },
      log: plan.log
    })
    .catch((error: Error) => {
      throw unavailable(`The agent's room could not be opened: ${error.message}`)
    })

const FOLDERS_MS = 15_000
/** 200,000 files take some seconds; what is left is removed when the quota is exceeded again. */
const CLEAR_MS = 20_000

async function spawnAgent(plan: LaunchPlan, room: Room, port: number): Promise<KiloProcess> {
  const { paths } = room
  await makeOwnFolders(room)
  const providers = await reachModels(room, plan.providers, plan.modelService)
  const proxy = await reachNetwork(room, plan.egress, plan.projectId)
  const kiloEnv = kiloEnvironment({
    room,
    password: plan.password,
    config: kiloConfig({
      providers,
      defaultModel: plan.defaultModel,
      timeouts: plan.modelTimeouts,
      isolated: room.kind !== 'plain',
      worktree: plan.worktree,
      plugins: [turnPlugin(paths.given)]
    }),
    modelRetriesMax: plan.modelRetriesMax
  })
  const env = { ...kiloEnv, ...proxy }
  const serve = ['serve', '--hostname', '127.0.0.1', '--port', String(port)]
  const command: RoomCommand = { argv: [paths.kilo, ...serve], env, cwd: paths.work }
  return spawnKilo(room, command, plan.log, plan.redact).catch((error: Error) => {
    throw unavailable(`Kilo could not be started: ${error.message}`)
  })
}

/** In the room, like everything below a folder that the agent can write. */
async function clearIfFull(room: Room, folder: AgentFolder): Promise<void> {
  const isFull = await access(folder.full).then(
    () => true,
    () => false
  )
  if (!isFull) return
  const { own } = room.paths
  const argv = ['/bin/rm', '-rf', '--', ...DISPOSABLE.map((name) => `${own}/${name}`)] as const
  await room.run({ argv: [...argv], env: {}, cwd: own }, { timeoutMs: CLEAR_MS, outputBytes: 1000 })
  await rm(folder.full, { force: true })
}

async function makeOwnFolders({ paths, run }: Room): Promise<void> {
  const argv = ['/bin/mkdir', '-p', '-m', '0700', '--', ...ownFolders(paths.own)] as const
  const made = await run(
    { argv: [...argv], env: {}, cwd: paths.own },
    { timeoutMs: FOLDERS_MS, outputBytes: 1000 }
  )
  if (made.code === 0) return
  throw unavailable(`The agent's own folders could not be made: ${made.stderr.trim()}`)
}

/** Why Kilo does not listen; undefined when it does. */
async function listeningProblem(
  kilo: KiloProcess,
  patience: StartPatience
): Promise<string | undefined> {
  const first = await patience.await(
    Promise.race([kilo.listening.then(() => 'listening'), kilo.exited])
  )
  if (first === 'listening') return undefined
  return first === undefined
    ? `Kilo did not listen within ${patience.boundSeconds()} s.${kilo.lastOutput()}`
    : `Kilo ${first} before it listened.${kilo.lastOutput()}`
}
