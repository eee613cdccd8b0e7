import { randomBytes } from 'node:crypto'
import { realpath } from 'node:fs/promises'
import getPort from 'get-port'
import type { ProjectId } from '#kernel/ids.ts'
import type { Log } from '#kernel/log.ts'
import { unlessAborted, within } from '#kernel/waiting.ts'
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
  readonly log: Log
  readonly password: string
  readonly redact: Redact
}

export interface Launched {
  readonly kilo: KiloProcess
  readonly url: string
  /** Removes the note, so that the folder may be used again: for when the process is gone. */
  readonly releaseFolder: () => Promise<void>
}

/** Between our choosing a port and Kilo's taking it somebody else may have come; Kilo says no more than this. */
const PORT_TAKEN = /ServeError|EADDRINUSE|Unexpected error/
const TRIES = 2

/** Spawns a project's Kilo and waits until it says that it listens. When it throws, nothing is left running. */
export async function launch(plan: LaunchPlan, signal: AbortSignal): Promise<Launched> {
  const folder = folderOf(plan.agentsDir, plan.projectId)
  await makeFolder(folder)
  const earlier = await clearFolder(folder)
  if (earlier === 'alive') throw unavailable('An earlier agent of this project cannot be ended.')
  if (earlier === 'ended') plan.log.warn({}, 'an earlier agent of this project was ended')
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

    const problem = await unlessAborted(listeningProblem(kilo, plan.times.startMs), signal)
    if (problem === undefined) {
      attempt.move()
      return { kilo, url: `http://127.0.0.1:${port}`, releaseFolder }
    }
    if (left === 0 || !PORT_TAKEN.test(problem)) throw unavailable(problem)
  }
}

async function spawnAgent(plan: LaunchPlan, own: string, port: number, marker: string) {
  const { runtime, worktree, providers, defaultModel } = plan
  const jailed = runtime.jail !== undefined
  const serve = ['serve', '--hostname', '127.0.0.1', '--port', String(port)]
  const config = kiloConfig({
    providers,
    defaultModel,
    timeouts: plan.modelTimeouts,
    jailed,
    worktree
  })
  const env = kiloEnvironment({
    jailed,
    own,
    worktree,
    ripgrep: runtime.ripgrep,
    marker,
    password: plan.password,
    config,
    modelRetriesMax: plan.modelRetriesMax
  })
  const { kilo, ripgrep } = runtime
  const command = runtime.jail
    ? {
        program: runtime.jail.bubblewrap,
        args: [
          ...(await jailArguments({ network: 'shared', worktree, own, kilo, ripgrep })),
          kiloInside(kilo),
          ...serve
        ]
      }
    : { program: kilo.path, args: serve }

  return spawnKilo(
    { ...command, env, cwd: worktree, sandboxed: jailed, marker },
    plan.log,
    plan.redact
  ).catch((error: Error) => {
    throw unavailable(`Kilo could not be started: ${error.message}`)
  })
}

/** Why it does not listen, in a sentence; undefined when it does. */
async function listeningProblem(kilo: KiloProcess, startMs: number): Promise<string | undefined> {
  const first = await within(
    Promise.race([kilo.listening.then(() => 'listening'), kilo.exited]),
    startMs
  )
  if (first === 'listening') return undefined
  const said = kilo.lastLine() ? ` Its last words: ${kilo.lastLine()}` : ''
  return first === undefined
    ? `Kilo did not listen within ${startMs / 1000} s.${said}`
    : `Kilo ${first} before it listened.${said}`
}
