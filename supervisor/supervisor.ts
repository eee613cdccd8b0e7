import { mkdir, realpath } from 'node:fs/promises'
import type { ProjectId } from '#kernel/ids.ts'
import { AgentFailure } from './agent-failure.ts'
import { startAgent, type Agent, type AgentPlan, type RunningKilo } from './agent/agent.ts'
import { KNOWN_MODES } from './agent/kilo-config.ts'
import type { ProcessState } from './agent/kilo-process.ts'
import { findRuntime, type Runtime } from './agent/runtime.ts'
import type { RefusalReason } from './egress/refusals.ts'
import { openEgress, type Egress } from './egress/egress.ts'
import { AGENT_LIMITS } from '#kernel/limits.ts'
import { createDiskMeter } from './limits/disk-meter.ts'
import { AGENT_TIMES, MODEL_TIMEOUTS, type SupervisorOptions } from './options.ts'
import { createAgentRecords, type AgentRecords } from './pool/agent-records.ts'
import { createStatusReader, type AgentStatus } from './pool/agent-status.ts'
import { stopIdleAgents } from './pool/idle-stop.ts'
import { lend, type BorrowedAgent } from './pool/lending.ts'
import { createAgentSlots, type AgentSlots, type Slot } from './pool/slots.ts'
import { clearLeftovers, folderOf, removeFolder } from './process/agent-folder.ts'

export interface RunningAgent {
  readonly projectId: ProjectId
  readonly pid: number
  readonly state: ProcessState
  readonly startedAt: Date
  readonly lastUsedAt: Date
  readonly turnRunning: boolean
}

export interface Supervisor extends AsyncDisposable {
  readonly isolation: 'bubblewrap' | 'process'
  /** `closed`: agents have no network but what is lent to them; `shared`: they have that of the machine. */
  readonly network: 'closed' | 'shared'
  /** `shared`: agents run as the server's user of the machine. */
  readonly uid: 'own' | 'shared'
  /** The program `bwrap` that agents are isolated with; undefined without isolation. */
  readonly bubblewrap: string | undefined
  readonly kiloVersion: string
  /** The modes that a prompt may name, as the Kilo that was started last listed them. */
  modes(): readonly string[]
  /** The project's agent, warm or newly started. It is not stopped for idleness or another project until it is returned. */
  borrow(projectId: ProjectId, worktree: string, signal: AbortSignal): BorrowedAgent
  /** The project's agent if it runs and accepts prompts. */
  peek(projectId: ProjectId): Agent | undefined
  /** Resolves when the project's whole process tree has exited, also one that is being started. */
  stop(projectId: ProjectId): Promise<void>
  /**
   * Forgets the project's failures, and gives its next borrower a new agent. The present one is stopped when its borrowers
   * have returned it. Resolves when it has stopped.
   */
  restart(projectId: ProjectId): Promise<void>
  status(projectId: ProjectId): Promise<AgentStatus>
  /** How many agents are in each state. */
  count: AgentRecords['count']
  /** Stops the project's agent and deletes its data. */
  forget(projectId: ProjectId): Promise<void>
  running(): readonly RunningAgent[]
  /** What all agents use together, measured at most some seconds ago. */
  memoryBytes(): Promise<number>
  /** What a project takes on disk: its worktree, and its agent's own data. */
  diskUsage(projectId: ProjectId, worktree: string): Promise<{ bytes: number; files: number }>
}

const MODEL_RETRIES_MAX = 2

/** One `kilo serve` per active project: started on demand, kept warm, stopped when it is idle. */
export async function openSupervisor(options: SupervisorOptions): Promise<Supervisor> {
  const { log, clock } = options
  const runtime = await findRuntime(options, log)
  await mkdir(options.agentsDir, { recursive: true, mode: 0o700 })
  const agentsDir = await realpath(options.agentsDir)
  const onMetric = options.onMetric ?? (() => {})
  const killed = await clearLeftovers(agentsDir)
  if (killed > 0) log.warn({ killed }, 'agents of an earlier server were killed')
  for (let at = 0; at < killed; at++) onMetric({ kind: 'orphan' })

  const times = { ...AGENT_TIMES, ...options.times }
  const records = createAgentRecords({ clock, times, log, onMetric })
  const slots = createAgentSlots({
    agentsMax: options.agentsMax,
    memoryBytesMax: options.agentsMemoryBytes ?? Infinity,
    clock,
    log,
    records,
    onStartFailed: () => onMetric({ kind: 'start-failed' })
  })
  const egress = await openWayOut(options, runtime)
  const disk = createDiskMeter()
  const start = createStarter(options, { runtime, agentsDir, egress, disk, records })
  const idleTimer = stopIdleAgents(slots, options)
  let latest = { modes: KNOWN_MODES, version: runtime.kilo.version }
  let closing = false

  return {
    isolation: runtime.rooms.kind === 'plain' ? 'process' : 'bubblewrap',
    network: runtime.rooms.network,
    uid: runtime.rooms.uid,
    bubblewrap: runtime.bubblewrap,
    get kiloVersion() {
      return latest.version
    },
    modes: () => latest.modes,

    borrow(projectId, worktree, signal) {
      if (closing) throw new AgentFailure('stopped', 'The server is stopping.')
      signal.throwIfAborted()
      const slotFor = () =>
        slots.find(projectId) ??
        slots.open(projectId, async (stopping) => {
          const kilo = await start(projectId, worktree, stopping)
          latest = kilo
          return kilo
        })
      const onReturned = (slot: Slot) => recycle(slots, slot, options)
      return lend({ slotFor, clock, probeAfterMs: times.probeAfterMs, signal, onReturned })
    },

    peek: (projectId) => slots.find(projectId)?.kilo,

    stop: (projectId) => slots.leave(projectId, 'interrupted'),

    async restart(projectId) {
      records.reset(projectId)
      await slots.retire(projectId, 'restarted')
    },

    async forget(projectId) {
      await slots.leave(projectId, 'deleted')
      await removeFolder(agentsDir, projectId, log)
      records.remove(projectId)
    },

    status: createStatusReader(slots, records, clock),
    count: records.count,
    running: () => slots.all().flatMap(runningAgentOf),

    memoryBytes: slots.memoryBytes,

    diskUsage: (projectId, worktree) =>
      disk.measure([worktree, folderOf(agentsDir, projectId).own]),

    async [Symbol.asyncDispose]() {
      closing = true
      idleTimer[Symbol.dispose]()
      await slots.leaveAll('shutdown')
      await disk[Symbol.asyncDispose]()
      egress?.[Symbol.dispose]()
    }
  }
}

/** Only rooms without a network need it. */
async function openWayOut(
  { egress, log, clock, onMetric = () => {} }: SupervisorOptions,
  { rooms }: Runtime
): Promise<Egress | undefined> {
  if (!egress || rooms.network === 'shared') return undefined
  const onRefused = (reason: RefusalReason) => onMetric({ kind: 'egress-refused', reason })
  return openEgress(egress, { log, clock, onRefused })
}

/** Starts agents with the options of this supervisor, and reports how long that took. */
function createStarter(
  options: SupervisorOptions,
  {
    records,
    ...given
  }: Pick<AgentPlan, 'runtime' | 'agentsDir' | 'egress' | 'disk'> & {
    readonly records: AgentRecords
  }
) {
  const { clock, log } = options
  const onMetric = options.onMetric ?? (() => {})

  return async (
    projectId: ProjectId,
    worktree: string,
    signal: AbortSignal
  ): Promise<RunningKilo> => {
    const sinceMs = clock.monotonicMs()
    const providers = options.providersFor(projectId)
    const exited = () => options.onAgentExited?.(providers)
    const plan: AgentPlan = {
      projectId,
      worktree,
      ...given,
      trustRepositories: options.trustRepositories ?? false,
      providers,
      modelService: options.modelService,
      defaultModel: options.defaultModel,
      modelTimeouts: { ...MODEL_TIMEOUTS, ...options.modelTimeouts },
      modelRetriesMax: options.modelRetriesMax ?? MODEL_RETRIES_MAX,
      times: { ...AGENT_TIMES, ...options.times },
      limits: { ...AGENT_LIMITS, ...options.limits },
      log: log.child({ projectId }),
      clock,
      onMetric,
      onTurnEnded: () => records.worked(projectId)
    }
    const kilo = await startAgent(plan, signal).catch((error: unknown) => {
      exited()
      throw error
    })
    void kilo.exited.then(exited)
    const durationMs = clock.monotonicMs() - sinceMs
    onMetric({ kind: 'started', durationMs })
    log.info({ projectId, pid: kilo.pid, durationMs: Math.round(durationMs) }, 'agent ready')
    return kilo
  }
}

/** Stops an agent that has outgrown its memory, once all its borrowers have returned it. */
function recycle(
  slots: Pick<AgentSlots, 'leave'>,
  { projectId, kilo, borrowers }: Slot,
  { log, onMetric }: Pick<SupervisorOptions, 'log' | 'onMetric'>
): void {
  if (!kilo?.hasOutgrown || borrowers > 0) return
  log.info({ projectId }, 'agent stopped: it is above its soft limit of memory')
  onMetric?.({ kind: 'recycled' })
  void slots.leave(projectId, 'recycled')
}

function runningAgentOf({ projectId, kilo, lastUsedAt }: Slot): RunningAgent[] {
  if (!kilo) return []
  const { pid, state, startedAt, turnsRunning } = kilo
  return [{ projectId, pid, state, startedAt, lastUsedAt, turnRunning: turnsRunning > 0 }]
}
