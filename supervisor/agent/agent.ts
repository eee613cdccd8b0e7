import { randomBytes } from 'node:crypto'
import type { AgentEvent } from '#kernel/agent-events.ts'
import type { Clock } from '#kernel/clock.ts'
import { unlessAborted } from '#kernel/waiting.ts'
import { watchEnd, type AgentEnd } from './exit.ts'
import { createAgentListeners } from './listeners.ts'
import { createAgentRequests, type AgentRequests } from './requests.ts'
import { listenToKilo } from './stream.ts'
import { createSequenceTracker } from '../stream/sequence.ts'
import { INSIDE } from '../room/bubblewrap.ts'
import { authorizationOf, createClient } from '../kilo/client.ts'
import { createRelativePath } from '../kilo/paths.ts'
import { launch, type LaunchPlan } from './launch.ts'
import type { SupervisorMetric } from '../options.ts'
import type { ProcessState } from '../process/kilo-process.ts'
import { awaitReady } from './readiness.ts'
import { createRedact } from '../redact.ts'
import { runTurn } from '../turn/turn.ts'
import { createUnrecognisedNames } from '../kilo/names.ts'
import type { AgentTurn, TurnHost } from '../turn/host.ts'
import { AgentFailure, unavailable } from '../agent-failure.ts'

export type { AgentTurn } from '../turn/host.ts'
export type { SessionUsage } from '../kilo/client.ts'

/** One project's running Kilo. */
export interface Agent extends AgentRequests {
  /** See `runTurn`: events as they come, one `turn.finished` at the end, or an AgentFailure. */
  runTurn(turn: AgentTurn, signal: AbortSignal): AsyncIterable<AgentEvent>
}

/** What the supervisor knows of an agent besides. */
export interface RunningKilo extends Agent, AgentEnd {
  readonly pid: number
  readonly modes: readonly string[]
  readonly version: string
  readonly startedAt: Date
  readonly state: ProcessState
  readonly turnsRunning: number
}

/** How to launch it, but for the password, which every start makes anew. */
export interface AgentPlan extends Omit<LaunchPlan, 'password' | 'redact'> {
  readonly clock: Clock
  readonly onMetric: (metric: SupervisorMetric) => void
}

/** Starts a project's Kilo and resolves when it may be prompted; if it cannot or must not, nothing is left running. */
export async function startAgent(plan: AgentPlan, signal: AbortSignal): Promise<RunningKilo> {
  const { clock, times, providers, onMetric } = plan
  const startedAt = clock.now()
  const password = randomBytes(32).toString('base64url')
  const redact = createRedact([password, ...providers.map(({ apiKey }) => apiKey)])
  const { kilo, url, releaseFolder } = await launch({ ...plan, password, redact }, signal)

  const log = plan.log.child({ pid: kilo.pid })
  const authorization = authorizationOf(password)
  const client = createClient(url, password, times.requestMs)
  const sequence = createSequenceTracker()
  const listeners = createAgentListeners()
  const stream = {
    clock,
    url,
    authorization,
    sequence,
    kilo,
    client,
    listeners,
    times,
    log,
    onMetric
  }
  const events = listenToKilo(stream)

  const answering = awaitReady(kilo, client, events.opened, times.startMs)
  const { modes, version } = await unlessAborted(answering, signal).catch(
    async (error: unknown) => {
      events[Symbol.dispose]()
      await kilo.kill()
      await releaseFolder()
      throw error
    }
  )
  const { stopMs } = times
  const end = watchEnd({ kilo, events, listeners, stopMs, releaseFolder, log, onMetric })

  const host: TurnHost = {
    client,
    sequence,
    providers,
    relative: createRelativePath(
      plan.runtime.jail ? [INSIDE.work, plan.worktree] : [plan.worktree]
    ),
    times,
    redact,
    log,
    now: () => clock.now(),
    onMetric,
    nameStranger: createUnrecognisedNames(log),
    listen: listeners.add,
    endedWithin: kilo.endedWithin,
    kill() {
      const why = 'The agent did not stop and was killed.'
      listeners.setEndReason(new AgentFailure('stalled', why))
      return kilo.kill()
    }
  }

  let turnsRunning = 0
  async function* countedTurn(turn: AgentTurn, signal: AbortSignal): AsyncGenerator<AgentEvent> {
    if (!modes.includes(turn.mode)) {
      throw unavailable(`Kilo has no mode “${turn.mode}”, only ${modes.join(', ')}.`)
    }
    turnsRunning += 1
    try {
      yield* runTurn(host, turn, signal)
    } finally {
      turnsRunning -= 1
    }
  }

  return {
    ...createAgentRequests({ ...host, ending: listeners.ending }),
    ...end,
    runTurn: countedTurn,
    pid: kilo.pid,
    modes,
    version,
    startedAt,
    get state() {
      return kilo.state
    },
    get turnsRunning() {
      return turnsRunning
    }
  }
}
