import { randomBytes } from 'node:crypto'
import type { AgentEvent } from '#kernel/agent-events.ts'
import { unlessAborted } from '#kernel/waiting.ts'
import { AgentFailure, unavailable } from '../agent-failure.ts'
import { authorizationOf, createClient } from '../kilo/client.ts'
import { createUnrecognisedNames } from '../kilo/known-names.ts'
import { createRelativePath } from '../kilo/paths.ts'
import type { DiskMeter } from '../limits/disk-meter.ts'
import { createUsageWatch } from '../limits/usage-watch.ts'
import type { SupervisorMetric } from '../options.ts'
import { watchStrays } from '../process/strays.ts'
import { createRedact } from '../redact.ts'
import { createSequenceTracker } from '../stream/sequence.ts'
import type { AgentTurn, TurnHost } from '../turn/host.ts'
import { endBusySessions } from '../turn/busy-sessions.ts'
import { runTurn } from '../turn/turn.ts'
import type { RoomStats } from '../room/room.ts'
import type { ProcessState } from './kilo-process.ts'
import { createKill, watchExit, type AgentExit } from './exit.ts'
import { createHealth, type Health } from './health.ts'
import { launch, type LaunchPlan } from './launch.ts'
import { createAgentListeners } from './listeners.ts'
import { awaitReady } from './start/readiness.ts'
import { createAgentRequests, type AgentRequests } from './requests.ts'
import { listenToKilo } from './stream.ts'

export type { AgentTurn } from '../turn/host.ts'
export type { SessionUsage } from '../kilo/client.ts'

/** One project's running Kilo. */
export interface Agent extends AgentRequests {
  /** See `runTurn`: events as they arrive, one `turn.finished` at the end, or an AgentFailure. */
  runTurn(turn: AgentTurn, signal: AbortSignal): AsyncIterable<AgentEvent>
}

/** An agent with the facts that the supervisor needs about its process. */
export interface RunningKilo extends Agent, AgentExit, Pick<Health, 'check'> {
  readonly pid: number
  readonly modes: readonly string[]
  readonly version: string
  readonly startedAt: Date
  readonly state: ProcessState
  readonly turnsRunning: number
  /** Its last turn left it above the soft limit of memory: it should be stopped. */
  readonly hasOutgrown: boolean
  /** What its room uses, measured at most some seconds ago. */
  stats(): Promise<RoomStats>
}

/** How to launch it. Each start makes a new password. */
export interface AgentPlan extends Omit<LaunchPlan, 'password' | 'redact'> {
  readonly onMetric: (metric: SupervisorMetric) => void
  /** A turn has ended, and Kilo still runs. */
  readonly onTurnEnded?: () => void
  readonly disk: DiskMeter
}

const SESSIONS_LEFT = new AgentFailure('stopped', 'Sessions of the turn could not be ended.')
const STRAYS_LEFT = new AgentFailure('stopped', 'Processes of the turn could not be ended.')

/** Starts a project's Kilo and resolves when it accepts prompts; when it rejects, no process is left running. */
export async function startAgent(plan: AgentPlan, signal: AbortSignal): Promise<RunningKilo> {
  const { clock, times, providers, onMetric } = plan
  const startedAt = clock.now()
  const password = randomBytes(32).toString('base64url')
  const redact = createRedact([password, ...providers.map(({ apiKey }) => apiKey)])
  const launched = await launch({ ...plan, password, redact }, signal)
  const { room, kilo, url, http, roots, giveTurnToken, patience, releaseFolder } = launched

  const log = plan.log.child({ pid: kilo.pid })
  const authorization = authorizationOf(password)
  const client = createClient(url, password, times.requestMs, room.paths.work, http.fetch)
  const sequence = createSequenceTracker()
  const listeners = createAgentListeners()
  const { kill, killedFor } = createKill({ kilo, listeners })
  const shared = { clock, client, sequence, times, log, onMetric }
  const health = createHealth({ ...shared, kilo, kill })
  const events = listenToKilo({ ...shared, url, http, authorization, health, listeners })

  const answering = awaitReady({
    kilo,
    client: createClient(url, password, times.startMaxMs, room.paths.work, http.fetch),
    streamOpened: events.opened,
    patience,
    healthMs: times.healthMs
  })
  const ready = await unlessAborted(answering, signal).catch(async (error: unknown) => {
    events[Symbol.dispose]()
    await kilo.kill()
    await releaseFolder()
    throw error
  })
  const { stopMs } = times
  const left = { releaseFolder, killedFor }
  const exit = watchExit({ kilo, events, listeners, stopMs, ...left, log, onMetric })

  const host: TurnHost = {
    ...shared,
    providers,
    relative: createRelativePath(roots),
    redact,
    nameUnrecognised: createUnrecognisedNames(log),
    listen: listeners.add,
    onEgressRefused: (listener) => plan.egress?.listen(plan.projectId, listener) ?? (() => {}),
    endedWithin: kilo.endedWithin,
    kill: (reason) =>
      kill(new AgentFailure('stalled', 'The agent did not stop and was killed.'), reason)
  }
  const strays = await watchStrays(room, { clock, log })
  const usage = createUsageWatch({
    room,
    folders: launched.folders,
    disk: plan.disk,
    limits: plan.limits,
    clock,
    log,
    onMetric,
    async onExcess(failure) {
      await kill(failure, 'over_limit')
      if (failure.reason === 'disk-full') await launched.noteFull()
    }
  })
  const onAborted = () => onMetric({ kind: 'session-aborted' })
  const busy = { client, clock, log, waitMs: times.idleWaitMs, onAborted }
  const turns = countTurns(ready.modes, async function* (turn, signal) {
    let excess: AgentFailure | undefined
    try {
      using _watched = usage.watchTurn()
      await giveTurnToken(turn.token)
      yield* runTurn(host, turn, signal)
    } finally {
      await giveTurnToken(undefined)
      // What cannot be ended costs the agent its life, before the work of the turn is kept.
      if (kilo.state === 'ready' && !(await endBusySessions(busy, turn.agentSessionId))) {
        await kill(SESSIONS_LEFT, 'leftovers')
      }
      if (!(await strays.end())) await kill(STRAYS_LEFT, 'leftovers')
      excess = await usage.endTurn()
    }
    if (excess) throw excess
    if (kilo.state !== 'ready') return
    prepareSession()
    plan.onTurnEnded?.()
  })
  const { prepareSession, ...requests } = createAgentRequests({
    ...host,
    failure: listeners.failure
  })
  return {
    ...requests,
    ...exit,
    ...ready,
    check: health.check,
    runTurn: turns.run,
    pid: kilo.pid,
    startedAt,
    get state() {
      return kilo.state
    },
    get turnsRunning() {
      return turns.running()
    },
    get hasOutgrown() {
      return usage.hasOutgrown
    },
    stats: usage.stats
  }
}

function countTurns(modes: readonly string[], run: Agent['runTurn']) {
  let running = 0
  return {
    running: () => running,
    async *run(turn: AgentTurn, signal: AbortSignal): AsyncGenerator<AgentEvent> {
      if (!modes.includes(turn.mode)) {
        throw unavailable(`Kilo has no mode “${turn.mode}”, only ${modes.join(', ')}.`)
      }
      running += 1
      try {
        yield* run(turn, signal)
      } finally {
        running -= 1
      }
    }
  }
}
