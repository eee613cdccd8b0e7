import { mkdir, realpath, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { ProjectId } from '#kernel/ids.ts'
import { unlessAborted } from '#kernel/waiting.ts'
import { clearLeftovers } from './process/agent-folder.ts'
import { createAgentSlots, idleFactsOf, type Slot } from './pool/slots.ts'
import { startAgent, type Agent, type RunningKilo } from './agent/agent.ts'
import { findRuntime } from './room/runtime.ts'
import { decideIdle } from './pool/idle-policy.ts'
import { KNOWN_MODES } from './room/kilo-config.ts'
import { AGENT_TIMES, MODEL_TIMEOUTS, type SupervisorOptions } from './options.ts'
import type { ProcessState } from './process/kilo-process.ts'
import { AgentFailure } from './agent-failure.ts'

export interface RunningAgent {
  readonly projectId: ProjectId
  readonly pid: number
  readonly state: ProcessState
  readonly startedAt: Date
  readonly lastUsedAt: Date
  /** A turn is running right now. */
  readonly serialQueue: boolean
}

/** Disposed, it is given back. */
export interface BorrowedAgent extends Disposable {
  /** Rejects with AgentFailure('unavailable') when it cannot be had, or with the signal's reason. */
  readonly agent: Promise<Agent>
}

export interface Supervisor extends AsyncDisposable {
  readonly isolation: 'bubblewrap' | 'process'
  readonly kiloVersion: string
  /** The modes that a prompt may name, as the last started Kilo listed them. */
  modes(): readonly string[]
  /** The project's agent, found warm or started. Until it is given back it is neither quiet nor in the way of another. */
  borrow(projectId: ProjectId, worktree: string, signal: AbortSignal): BorrowedAgent
  /** The project's agent if it runs and can be prompted. */
  peek(projectId: ProjectId): Agent | undefined
  /** The project's whole process tree is gone when this resolves, also one that is just being started. */
  stop(projectId: ProjectId): Promise<void>
  /** Stops the project's agent and takes away all that it remembered. */
  forget(projectId: ProjectId): Promise<void>
  running(): readonly RunningAgent[]
}

const IDLE_LOOK_MS_MAX = 10_000
const MODEL_RETRIES_MAX = 2

/** One `kilo serve` per active project: started when it is asked for, kept warm, stopped when nobody needs it. */
export async function openSupervisor(options: SupervisorOptions): Promise<Supervisor> {
  const { log, clock } = options
  const onMetric = options.onMetric ?? (() => {})
  const runtime = await findRuntime(options, log)
  await mkdir(options.agentsDir, { recursive: true, mode: 0o700 })
  const agentsDir = await realpath(options.agentsDir)
  const cleared = await clearLeftovers(agentsDir)
  if (cleared > 0) log.warn({ cleared }, 'agents of an earlier server were ended')

  const slots = createAgentSlots({
    agentsMax: options.agentsMax,
    clock,
    log,
    onStartFailed: () => onMetric({ kind: 'start-failed' })
  })
  let modes = KNOWN_MODES
  let version = runtime.kilo.version
  let closing = false

  const start = async (
    projectId: ProjectId,
    worktree: string,
    signal: AbortSignal
  ): Promise<RunningKilo> => {
    const from = clock.monotonicMs()
    const providers = options.providersFor(projectId)
    const gone = () => options.onAgentGone?.(providers)
    const plan = {
      projectId,
      worktree,
      runtime,
      agentsDir,
      providers,
      defaultModel: options.defaultModel,
      modelTimeouts: { ...MODEL_TIMEOUTS, ...options.modelTimeouts },
      modelRetriesMax: options.modelRetriesMax ?? MODEL_RETRIES_MAX,
      times: { ...AGENT_TIMES, ...options.times },
      log: log.child({ projectId }),
      clock,
      onMetric
    }
    const kilo = await startAgent(plan, signal).catch((error: unknown) => {
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

  const lend = (slot: Slot, signal: AbortSignal): BorrowedAgent => {
    slot.borrowers += 1
    slot.lastUsedAt = clock.now()
    // Others may wait for the same start, so it goes on when this borrower does not wait any more.
    const agent = unlessAborted(slot.starting, signal)
    agent.catch(() => {})
    let isBack = false
    return {
      agent,
      [Symbol.dispose]() {
        if (isBack) return
        isBack = true
        slot.borrowers -= 1
        slot.lastUsedAt = clock.now()
      }
    }
  }

  const stopQuiet = () => {
    for (const slot of slots.all()) {
      const { projectId } = slot
      if (decideIdle(idleFactsOf(slot, clock.now()), options.idleStopMs) === 'keep') continue
      log.info({ projectId }, 'quiet agent stopped')
      void slots.leave(projectId)
    }
  }
  const lookEveryMs = Math.min(IDLE_LOOK_MS_MAX, Math.max(50, options.idleStopMs / 4))
  const idleTimer = setInterval(stopQuiet, lookEveryMs)
  idleTimer.unref()

  return {
    isolation: runtime.jail ? 'bubblewrap' : 'process',
    get kiloVersion() {
      return version
    },
    modes: () => modes,

    borrow(projectId, worktree, signal) {
      if (closing) throw new AgentFailure('stopped', 'The server is stopping.')
      signal.throwIfAborted()
      const slot =
        slots.find(projectId) ??
        slots.open(projectId, (stopping) => start(projectId, worktree, stopping))
      return lend(slot, signal)
    },

    peek: (projectId) => slots.find(projectId)?.kilo,

    stop: slots.leave,

    async forget(projectId) {
      await slots.leave(projectId)
      await rm(join(agentsDir, projectId), { recursive: true, force: true, maxRetries: 3 })
    },

    running: () =>
      slots.all().flatMap(({ projectId, kilo, lastUsedAt }) => {
        if (!kilo) return []
        const { pid, state, startedAt, turnsRunning } = kilo
        return [{ projectId, pid, state, startedAt, lastUsedAt, serialQueue: turnsRunning > 0 }]
      }),

    async [Symbol.asyncDispose]() {
      closing = true
      clearInterval(idleTimer)
      await slots.leaveAll()
    }
  }
}
