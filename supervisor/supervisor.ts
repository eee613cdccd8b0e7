import { mkdir, realpath, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { ProjectId } from '#kernel/ids.ts'
import { JobFailure } from '#kernel/job-failures.ts'
import { unlessAborted } from '#kernel/waiting.ts'
import { clearLeftovers } from './agent-folder.ts'
import { startAgent, type Agent, type RunningKilo } from './agent.ts'
import { findGround } from './ground.ts'
import { chooseToStop, decideIdle } from './idle-policy.ts'
import { MODEL_TIMEOUTS } from './kilo-config.ts'
import { KNOWN_MODES } from './kilo-modes.ts'
import { unavailable } from './launch.ts'
import { AGENT_TIMES, type SupervisorOptions } from './options.ts'
import type { ProcessState } from './process-states.ts'

export interface RunningAgent {
  readonly projectId: ProjectId
  readonly pid: number
  readonly state: ProcessState
  readonly startedAt: Date
  readonly lastUsedAt: Date
  readonly busy: boolean
}

export interface Supervisor extends AsyncDisposable {
  readonly isolation: 'bubblewrap' | 'process'
  readonly kiloVersion: string
  /** The modes that a prompt may name, as the last started Kilo listed them. */
  modes(): readonly string[]
  /** The project's agent, found warm or started. Throws JobFailure('agent_unavailable') when it cannot be had. */
  agent(projectId: ProjectId, worktree: string, signal: AbortSignal): Promise<Agent>
  /** The project's agent if it runs and can be prompted. */
  peek(projectId: ProjectId): Agent | undefined
  /** The project's whole process tree is gone when this resolves. */
  stop(projectId: ProjectId): Promise<void>
  /** Stops the project's agent and takes away all that it remembered. */
  forget(projectId: ProjectId): Promise<void>
  running(): readonly RunningAgent[]
}

interface Place {
  readonly projectId: ProjectId
  readonly starting: Promise<RunningKilo>
  kilo: RunningKilo | undefined
  lastUsedAt: Date
  /** Since when somebody holds it without a turn. */
  handedOutAt: Date | undefined
}

const IDLE_LOOK_MS_MAX = 10_000
const MODEL_RETRIES_MAX = 2

/** One `kilo serve` per active project: started when it is asked for, kept warm, stopped when nobody needs it. */
export async function openSupervisor(options: SupervisorOptions): Promise<Supervisor> {
  const { log, clock } = options
  const onMetric = options.onMetric ?? (() => {})
  const ground = await findGround(options, log)
  await mkdir(options.agentsDir, { recursive: true, mode: 0o700 })
  const agentsDir = await realpath(options.agentsDir)
  const cleared = await clearLeftovers(agentsDir)
  if (cleared > 0) log.warn({ cleared }, 'agents of an earlier server were ended')

  const places = new Map<ProjectId, Place>()
  const leaving = new Map<ProjectId, Promise<void>>()
  let modes = KNOWN_MODES
  let version = ground.kilo.version
  let closing = false

  const factsOf = (place: Place) => ({
    place,
    now: clock.now(),
    lastUsedAt: place.lastUsedAt,
    handedOutAt: place.handedOutAt,
    busy: !place.kilo || place.kilo.turnsRunning > 0
  })

  const leave = (place: Place): Promise<void> => {
    const { projectId } = place
    if (places.get(projectId) !== place) return leaving.get(projectId) ?? Promise.resolve()
    places.delete(projectId)
    const gone = place.starting
      .then(
        (kilo) => kilo.stop(),
        () => {}
      )
      .finally(() => leaving.delete(projectId))
    leaving.set(projectId, gone)
    return gone
  }

  const stop = async (projectId: ProjectId) => {
    const place = places.get(projectId)
    if (place) await leave(place)
    else await leaving.get(projectId)
  }

  const makeRoom = async () => {
    while (places.size > options.agentsMax) {
      const chosen = chooseToStop([...places.values()].map(factsOf))
      if (!chosen) throw unavailable(`All ${options.agentsMax} agents of this server are busy.`)
      log.info({ projectId: chosen.place.projectId }, 'agent stopped to make room')
      await leave(chosen.place)
    }
  }

  const start = async (projectId: ProjectId, worktree: string): Promise<RunningKilo> => {
    await leaving.get(projectId)
    await makeRoom()
    const from = clock.monotonicMs()
    const providers = options.providersFor(projectId)
    const gone = () => options.onAgentGone?.(providers)
    const kilo = await startAgent({
      projectId,
      worktree,
      ground,
      agentsDir,
      providers,
      defaultModel: options.defaultModel,
      modelTimeouts: { ...MODEL_TIMEOUTS, ...options.modelTimeouts },
      modelRetriesMax: options.modelRetriesMax ?? MODEL_RETRIES_MAX,
      times: { ...AGENT_TIMES, ...options.times },
      log: log.child({ projectId }),
      clock,
      onMetric,
      onTurnEnd: () => release(projectId)
    }).catch((error: unknown) => {
      gone()
      throw error
    })
    void kilo.exited.then(gone)
    const durationMs = clock.monotonicMs() - from
    onMetric({ kind: 'started', durationMs })
    log.info({ projectId, pid: kilo.pid, durationMs: Math.round(durationMs) }, 'agent ready')
    ;({ modes, version } = kilo)
    return kilo
  }

  const release = (projectId: ProjectId) => {
    const place = places.get(projectId)
    if (!place) return
    place.lastUsedAt = clock.now()
    place.handedOutAt = undefined
  }

  const open = (projectId: ProjectId, worktree: string): Place => {
    const now = clock.now()
    const starting = Promise.resolve().then(() => start(projectId, worktree))
    const place: Place = { projectId, starting, kilo: undefined, lastUsedAt: now, handedOutAt: now }
    places.set(projectId, place)
    const forget = () => {
      if (places.get(projectId) === place) places.delete(projectId)
    }
    starting.then(
      (kilo) => {
        place.kilo = kilo
        void kilo.exited.then(forget)
      },
      (error: unknown) => {
        forget()
        onMetric({ kind: 'start-failed' })
        log.warn({ projectId, err: error }, 'agent could not be started')
      }
    )
    return place
  }

  /** A process that has ended, or is about to, is nobody's agent. */
  const usable = (projectId: ProjectId): Place | undefined => {
    const place = places.get(projectId)
    if (place?.kilo && place.kilo.state !== 'ready') return undefined
    return place
  }

  const stopQuiet = () => {
    for (const place of places.values()) {
      if (decideIdle(factsOf(place), options.idleStopMs) === 'keep') continue
      log.info({ projectId: place.projectId }, 'quiet agent stopped')
      void leave(place)
    }
  }
  const lookEveryMs = Math.min(IDLE_LOOK_MS_MAX, Math.max(50, options.idleStopMs / 4))
  const idleTimer = setInterval(stopQuiet, lookEveryMs)
  idleTimer.unref()

  return {
    isolation: ground.jail ? 'bubblewrap' : 'process',
    get kiloVersion() {
      return version
    },
    modes: () => modes,

    async agent(projectId, worktree, signal) {
      signal.throwIfAborted()
      if (closing) throw new JobFailure('interrupted', 'The server is stopping.')
      const place = usable(projectId) ?? open(projectId, worktree)
      place.lastUsedAt = clock.now()
      place.handedOutAt = place.lastUsedAt
      // Others may wait for the same start, so it goes on when this caller does not wait any more.
      return unlessAborted(place.starting, signal)
    },

    peek: (projectId) => usable(projectId)?.kilo,

    stop,

    async forget(projectId) {
      await stop(projectId)
      await rm(join(agentsDir, projectId), { recursive: true, force: true, maxRetries: 3 })
    },

    running: () =>
      [...places.values()].flatMap(({ projectId, kilo, lastUsedAt }) =>
        kilo
          ? [
              {
                projectId,
                pid: kilo.pid,
                state: kilo.state,
                startedAt: kilo.startedAt,
                lastUsedAt,
                busy: kilo.turnsRunning > 0
              }
            ]
          : []
      ),

    async [Symbol.asyncDispose]() {
      closing = true
      clearInterval(idleTimer)
      await Promise.all([...[...places.values()].map(leave), ...leaving.values()])
    }
  }
}
