import { randomBytes } from 'node:crypto'
import type { Clock } from '#kernel/clock.ts'
import type { AgentEvent } from '#kernel/agent-events.ts'
import { JobFailure } from '#kernel/job-failures.ts'
import { unlessAborted } from '#kernel/waiting.ts'
import { followEvents } from './event-stream.ts'
import { createHearing } from './hearing.ts'
import { INSIDE } from './jail.ts'
import { authorizationOf, createClient, statusOf, type SessionUsage } from './kilo-client.ts'
import { createRelativePath } from './kilo-paths.ts'
import { launch, type LaunchPlan } from './launch.ts'
import type { SupervisorMetric } from './options.ts'
import type { ProcessState } from './process-states.ts'
import { becomeReady } from './readiness.ts'
import { createRedact } from './redact.ts'
import { runTurn } from './run-turn.ts'
import { createStrangers } from './strangers.ts'
import type { AgentTurn, Listener, TurnHost } from './turn-host.ts'

export type { AgentTurn } from './turn-host.ts'
export type { SessionUsage } from './kilo-client.ts'

/** One project's running Kilo. */
export interface Agent {
  openSession(title: string): Promise<string>
  hasSession(agentSessionId: string): Promise<boolean>
  /** See `runTurn`: events as they come, one `turn.finished` at the end, or a JobFailure. */
  runTurn(turn: AgentTurn, signal: AbortSignal): AsyncIterable<AgentEvent>
  answerPermission(permissionId: string, reply: 'once' | 'reject', message?: string): Promise<void>
  /** One list of chosen labels a question; null says that nobody will answer. */
  answerQuestion(questionId: string, answers: readonly (readonly string[])[] | null): Promise<void>
  /** What the session and its sub-agents have used, as Kilo remembers it. */
  sessionUsage(agentSessionId: string): Promise<SessionUsage>
}

/** What the supervisor knows of an agent besides. */
export interface RunningKilo extends Agent {
  readonly pid: number
  readonly modes: readonly string[]
  readonly version: string
  readonly startedAt: Date
  readonly state: ProcessState
  readonly turnsRunning: number
  /** How it ended, once it has and all is cleared away. */
  readonly exited: Promise<string>
  stop(): Promise<void>
}

/** How to launch it, but for the password, which every start makes anew. */
export interface AgentPlan extends Omit<LaunchPlan, 'password' | 'redact'> {
  readonly clock: Clock
  readonly onMetric: (metric: SupervisorMetric) => void
}

const TAIL_CHARS_MAX = 2000

/** Starts a project's Kilo and resolves when it may be prompted; if it cannot or must not, nothing is left running. */
export async function startAgent(plan: AgentPlan, signal: AbortSignal): Promise<RunningKilo> {
  const { clock, times } = plan
  const startedAt = clock.now()
  const password = randomBytes(32).toString('base64url')
  const redact = createRedact([password, ...plan.providers.map(({ apiKey }) => apiKey)])
  const { kilo, url, cleared } = await launch({ ...plan, password, redact }, signal)
  const log = plan.log.child({ pid: kilo.pid })

  const client = createClient(url, password, times.requestMs)
  const hearing = createHearing()
  const listeners = new Set<Listener>()
  let torn = false
  let losses = 0
  let turnsRunning = 0
  let ending: JobFailure | undefined

  const tellGone = (failure: JobFailure) => {
    ending ??= failure
    listeners.forEach((listener) => listener.gone(ending ?? failure))
  }
  const endSilent = async () => {
    await kilo.endedWithin()
    if (kilo.state !== 'ready') return
    plan.onMetric({ kind: 'stalled' })
    log.warn({}, 'kilo does not answer and is killed')
    ending ??= new JobFailure('agent_stalled', 'Kilo does not answer any more.')
    await kilo.kill()
  }
  const stream = () =>
    followEvents({
      url,
      authorization: authorizationOf(password),
      silenceMs: times.streamSilenceMs,
      renewMs: times.streamRenewMs,
      isHealthy: () =>
        client.version(times.healthMs).then(
          () => true,
          () => false
        ),
      hearing,
      onFrame: (payload) => listeners.forEach((listener) => listener.frame(payload)),
      onLoss(why) {
        plan.onMetric({ kind: why === 'gap' ? 'event-gap' : 'event-garbage' })
        if (losses++ === 0) log.warn({ why }, 'kilo said something that was not heard')
      },
      onTorn() {
        torn = true
        listeners.forEach((listener) => listener.torn())
      },
      onReconnected: () => plan.onMetric({ kind: 'reconnected' }),
      async onBack() {
        await Promise.all([...listeners].map((listener) => listener.back()))
        torn = false
      },
      onDead: () => void endSilent()
    })

  const events = stream()
  const answering = becomeReady(kilo, client, events.opened, times.startMs)
  const ready = await unlessAborted(answering, signal).catch(async (error: unknown) => {
    events[Symbol.dispose]()
    await kilo.kill()
    await cleared()
    throw error
  })

  const exited = kilo.exited.then(async (how) => {
    events[Symbol.dispose]()
    const line = kilo.lastLine()
    if (!stopping && !ending) {
      plan.onMetric({ kind: 'crashed' })
      log.warn({ how, tail: kilo.tail().slice(-TAIL_CHARS_MAX) }, 'kilo ended unasked')
    }
    tellGone(
      stopping
        ? new JobFailure('interrupted', 'The agent was stopped.')
        : new JobFailure('agent_crashed', `Kilo ${how}${line ? `; its last words: ${line}` : '.'}`)
    )
    // What it had started may have outlived it.
    await kilo
      .kill()
      .then(cleared)
      .catch((error: unknown) => log.error({ err: error }, 'an agent could not be cleared away'))
    return how
  })

  let stopping: Promise<void> | undefined
  const stop = async () => {
    // Kilo waits a second for an event stream that is still open.
    events[Symbol.dispose]()
    await kilo.stop(times.stopMs)
    await exited
    plan.onMetric({ kind: 'stopped' })
  }

  const { modes, version } = ready
  const worktrees = plan.ground.jail ? [INSIDE.work, plan.worktree] : [plan.worktree]
  const host: TurnHost = {
    client,
    hearing,
    providers: plan.providers,
    relative: createRelativePath(worktrees),
    times,
    redact,
    log,
    now: () => clock.now(),
    endedWithin: kilo.endedWithin,
    onMetric: plan.onMetric,
    nameStranger: createStrangers(log),
    listen(listener: Listener) {
      listeners.add(listener)
      if (torn) listener.torn()
      if (ending) listener.gone(ending)
      return () => void listeners.delete(listener)
    },
    kill() {
      ending ??= new JobFailure('agent_stalled', 'The agent did not stop and was killed.')
      return kilo.kill()
    }
  }

  async function* run(turn: AgentTurn, signal: AbortSignal): AsyncGenerator<AgentEvent> {
    if (!modes.includes(turn.mode)) {
      const known = modes.join(', ')
      throw new JobFailure('agent_unavailable', `Kilo has no mode “${turn.mode}”, only ${known}.`)
    }
    turnsRunning += 1
    try {
      yield* runTurn(host, turn, signal)
    } finally {
      turnsRunning -= 1
    }
  }

  return {
    pid: kilo.pid,
    modes,
    version,
    startedAt,
    get state() {
      return kilo.state
    },
    get turnsRunning() {
      return turnsRunning
    },
    exited,
    stop: () => (stopping ??= stop()),
    openSession: (title) => said(client.createSession(title)),
    hasSession: (id) => said(client.hasSession(id)),
    runTurn: run,
    answerPermission: (id, reply, message) => answered(client.replyPermission(id, reply, message)),
    answerQuestion: (id, answers) =>
      answered(answers ? client.replyQuestion(id, answers) : client.rejectQuestion(id)),
    sessionUsage: (id) => said(client.usage(id))
  }

  /** What Kilo does not wait for any more has been answered. */
  async function answered(reply: Promise<unknown>): Promise<void> {
    await said(reply).catch((error: unknown) => {
      if (statusOf(error) !== 404) throw error
    })
  }

  /** A request that fails because the process is gone says so. */
  async function said<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer
    } catch (error) {
      if (statusOf(error) !== undefined) throw error
      await kilo.endedWithin()
      const words = redact((error as Error).message)
      throw ending ?? new JobFailure('agent_stalled', `Kilo did not answer: ${words}`)
    }
  }
}
