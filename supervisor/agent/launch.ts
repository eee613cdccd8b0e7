import { randomBytes } from 'node:crypto'
import { realpath } from 'node:fs/promises'
import getPort from 'get-port'
import type { Clock } from '#kernel/clock.ts'
import type { ProjectId } from '#kernel/ids.ts'
import type { Log } from '#kernel/log.ts'
import { unlessAborted } from '#kernel/waiting.ts'
import {
  clearFolder,
  folderOf,
  makeFolder,
  removeNote,
  writeNote
} from '../process/agent-folder.ts'
import type { Runtime } from '../room/runtime.ts'
import { jailArguments, kiloInside } from '../room/bubblewrap.ts'
import { kiloConfig } from '../room/kilo-config.ts'
import { kiloEnvironment } from '../room/kilo-environment.ts'
import { spawnKilo, type KiloProcess } from '../process/kilo-process.ts'
import type { AgentTimes, ModelTimeouts, ProviderAccess } from '../options.ts'
import type { Redact } from '../redact.ts'
import { unavailable } from '../agent-failure.ts'
import { createStartPatience, type StartPatience } from './start-patience.ts'

export interface LaunchPlan {
  readonly projectId: ProjectId
  readonly worktree: string
  readonly runtime: Runtime
  readonly agentsDir: string
  readonly providers: readonly ProviderAccess[]
  readonly defaultModel: string
  readonly modelTimeouts: ModelTimeouts
  readonly modelRetriesMax: number
  readonly times: AgentTimes
  readonly clock: Clock
  readonly log: Log
  readonly password: string
  readonly redact: Redact
}

export interface Launched {
  readonly kilo: KiloProcess
  readonly url: string
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
  const earlier = await clearFolder(folder)
  if (earlier === 'alive') throw unavailable('An earlier agent of this project cannot be killed.')
  if (earlier === 'killed') plan.log.warn({}, 'an earlier agent of this project was killed')
  const worktree = await realpath(plan.worktree).catch(() => {
    throw unavailable('The project has no worktree.')
  })

  for (let left = TRIES - 1; ; left--) {
    await using attempt = new AsyncDisposableStack()
    const port = await getPort({ host: '127.0.0.1' })
    const marker = randomBytes(16).toString('hex')
    const releaseFolder = () => removeNote(folder, marker)
    signal.throwIfAborted()
    attempt.defer(releaseFolder)
    await writeNote(folder, marker)
    const kilo = await spawnAgent({ ...plan, worktree }, folder.own, port, marker)
    attempt.defer(kilo.kill)
    await writeNote(folder, marker, kilo.pid)

    const patience = createStartPatience(kilo, plan.times, plan.clock)
    const problem = await unlessAborted(listeningProblem(kilo, patience), signal)
    if (problem === undefined) {
      attempt.move()
      return { kilo, url: `http://127.0.0.1:${port}`, patience, releaseFolder }
    }
    if (left === 0 || !PORT_TAKEN.test(problem)) throw unavailable(problem)
  }
}

async function spawnAgent(plan: LaunchPlan, own: string, port: number, marker: string) {
  const { runtime, worktree, providers, defaultModel } = plan
  const jailed = runtime.jail !== undefined
  const timeouts = plan.modelTimeouts
  const env = kiloEnvironment({
    jailed,
    own,
    worktree,
    ripgrep: runtime.ripgrep,
    marker,
    password: plan.password,
    config: kiloConfig({ providers, defaultModel, timeouts, jailed, worktree }),
    modelRetriesMax: plan.modelRetriesMax
  })
  const command = await commandOf(runtime, worktree, own, port)
  return spawnKilo(
    { ...command, env, cwd: worktree, sandboxed: jailed, marker },
    plan.log,
    plan.redact
  ).catch((error: Error) => {
    throw unavailable(`Kilo could not be started: ${error.message}`)
  })
}

async function commandOf(runtime: Runtime, worktree: string, own: string, port: number) {
  const { kilo, ripgrep, jail } = runtime
  const serve = ['serve', '--hostname', '127.0.0.1', '--port', String(port)]
  if (!jail) return { program: kilo.path, args: serve }
  const jailed = await jailArguments({ network: 'shared', worktree, own, kilo, ripgrep })
  return { program: jail.bubblewrap, args: [...jailed, kiloInside(kilo), ...serve] }
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
