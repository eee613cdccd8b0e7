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
  OWN_FOLDERS,
  removeNote,
  writeNote,
  type AgentFolder
} from '../process/agent-folder.ts'
import { reachNetwork } from '../egress/access.ts'
import type { AgentLimits } from '#kernel/limits.ts'
import type { Egress } from '../egress/egress.ts'
import { createKiloHttp, type KiloHttp } from '../stream/kilo-http.ts'
import type { Room, RoomCommand, RoomService } from '../room/room.ts'
import type { AgentTimes, ModelTimeouts, ProviderAccess } from '../options.ts'
import type { Redact } from '../redact.ts'
import { unavailable } from '../agent-failure.ts'
import { ownPlugins, writeOwnPlugins } from '../repository/own-plugins.ts'
import { findSettingsFiles } from '../repository/settings-files.ts'
import { turnPlugin, writeTurnPlugin, type GiveTurnToken } from '../turn/turn-token.ts'
import { kiloConfig } from './kilo-config.ts'
import { kiloEnvironment } from './kilo-environment.ts'
import { spawnKilo, type KiloProcess } from './kilo-process.ts'
import { reachModels } from './model-access.ts'
import type { Runtime } from './runtime.ts'
import { createStartPatience, type StartPatience } from './start/patience.ts'

export interface LaunchPlan {
  readonly projectId: ProjectId
  readonly worktree: string
  readonly runtime: Runtime
  readonly agentsDir: string
  readonly providers: readonly ProviderAccess[]
  readonly modelService?: RoomService | undefined
  /** Undefined: rooms without a network have no way out. */
  readonly egress?: Egress | undefined
  /** Starts an agent without a room also when its repository contains settings for Kilo. */
  readonly trustRepositories?: boolean | undefined
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
  await writeOwnPlugins(folder.given)
  const worktree = await realpath(plan.worktree).catch(() => {
    throw unavailable('The project has no worktree.')
  })
  await checkSettingsFiles(plan, worktree)

  for (let left = TRIES - 1; ; left--) {
    await using attempt = new AsyncDisposableStack()
    const marker = randomBytes(16).toString('hex')
    const releaseFolder = () => removeNote(folder, marker)
    signal.throwIfAborted()
    attempt.defer(releaseFolder)
    const shown = plan.runtime.rooms.kind === 'plain' ? worktree : undefined
    const note = { marker, worktree: shown }
    await writeNote(folder, note)
    const room = attempt.use(await openRoom({ ...plan, worktree }, folder, marker))
    if (room.pid !== undefined) await writeNote(folder, { ...note, pid: room.pid })
    await clearIfFull(room, folder)
    const port = await room.freePort()
    const kilo = await spawnAgent({ ...plan, worktree }, room, port)
    await writeNote(folder, { ...note, pid: kilo.pid })

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

/**
 * Settings that a repository holds have no effect. In a room that is all; without one they must not be there either, since
 * nothing but Kilo's own order of things keeps them from starting a process of the server's user.
 */
async function checkSettingsFiles(
  { runtime, trustRepositories, log }: LaunchPlan,
  worktree: string
): Promise<void> {
  const files = await findSettingsFiles(worktree)
  if (files.length === 0) return
  if (runtime.rooms.kind !== 'plain' || trustRepositories) {
    return log.info({ files }, "settings of kilo's in the repository are ignored")
  }
  throw unavailable(
    `The repository contains settings for Kilo: ${files.join(', ')}. Agents run without isolation here, so their start ` +
      'is refused. Remove the files, or ask the operator for ISOLATION=bubblewrap or TRUST_REPOSITORIES=true.'
  )
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
  const isolated = room.kind !== 'plain'
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
      isolated,
      worktree: plan.worktree,
      plugins: [turnPlugin(paths.given), ...ownPlugins(paths.given, isolated)]
    }),
    modelRetriesMax: plan.modelRetriesMax
  })
  const env = { ...kiloEnv, ...proxy }
  const serve = ['serve', '--hostname', '127.0.0.1', '--port', String(port)]
  // Not in the worktree: Kilo's runtime loads packages, and the paths of tsconfig.json, from the folder that it starts in.
  const command: RoomCommand = { argv: [paths.kilo, ...serve], env, cwd: paths.given }
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

/**
 * Makes the agent's own folders, and removes the settings that it has left in them: a plugin that one job writes there
 * would run in all later ones. Nothing of the agent runs yet, and links are removed, not followed.
 */
const MAKE_FOLDERS = `
for folder; do if [ -L "$folder" ]; then rm -- "$folder"; fi; done
rm -rf -- config home/.kilo home/.kilocode data/kilo/auth.json data/opencode
mkdir -p -m 0700 -- "$@"`

async function makeOwnFolders({ paths, run }: Room): Promise<void> {
  const made = await run(
    { argv: ['/bin/sh', '-ec', MAKE_FOLDERS, 'sh', ...OWN_FOLDERS], env: {}, cwd: paths.own },
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
