import type { Clock } from '#kernel/clock.ts'
import type { ProjectId } from '#kernel/ids.ts'
import { LIMITS } from '#kernel/limits.ts'
import type { Log } from '#kernel/log.ts'
import { cutChars, storable } from '#kernel/text.ts'
import { follow } from '#kernel/transitions.ts'
import { AGENT_ENDS, type AgentEnd } from '../agent-end.ts'
import { unavailable, type AgentFailure } from '../agent-failure.ts'
import type { AgentTimes, SupervisorMetric } from '../options.ts'
import { AGENT_STATES, type AgentState } from './agent-states.ts'
import {
  mayStart,
  nextBudget,
  recentFailures,
  UNUSED_BUDGET,
  type Budget,
  type BudgetEvent
} from './start-budget.ts'

/** What is remembered of a project's agents since this server has started. */
export interface AgentRecord {
  readonly state: AgentState
  /** When it came to that state. */
  readonly since: Date
  readonly starts: number
  readonly lastEnd: (AgentEnd & { readonly at: Date }) | undefined
  /** Its recent failures; at `agentFailuresMax` it is broken. */
  readonly failures: number
  /** When a start is tried again; undefined while the agent is not broken. */
  readonly brokenUntil: Date | undefined
}

export interface AgentRecords {
  read(projectId: ProjectId): AgentRecord
  become(projectId: ProjectId, next: AgentState): void
  /** Why no agent may be started now; undefined when one may, and then its start is recorded. */
  refuseStart(projectId: ProjectId): AgentFailure | undefined
  /** An agent has ended. `isPresent`: no newer one has taken its place. */
  ended(projectId: ProjectId, end: AgentEnd, isPresent: boolean): void
  /** A start was given up before Kilo was spawned, for a reason that is not the agent's. */
  startRefused(projectId: ProjectId, isPresent: boolean): void
  /** An agent has carried out a turn. */
  worked(projectId: ProjectId): void
  /** Forgets its failures. */
  reset(projectId: ProjectId): void
  remove(projectId: ProjectId): void
  /** How many projects are in each state, but for those that are stopped. */
  count(): Readonly<Record<Exclude<AgentState, 'stopped'>, number>>
}

export interface RecordsOptions {
  readonly clock: Pick<Clock, 'now' | 'monotonicMs'>
  readonly times: Pick<AgentTimes, 'failureWindowMs' | 'brokenMs'>
  readonly log: Pick<Log, 'info' | 'warn'>
  readonly onMetric: (metric: SupervisorMetric) => void
}

interface Entry {
  state: AgentState
  since: Date
  starts: number
  lastEnd: AgentRecord['lastEnd']
  budget: Budget
}

const HOW_CHARS_MAX = 500
/** Records of stopped agents are dropped beyond this, oldest first: a server may serve any number of projects. */
const ENTRIES_MAX = 10_000

/** Remembers how the agents of each project have fared, and refuses to start one that keeps failing. */
export function createAgentRecords(options: RecordsOptions): AgentRecords {
  const { clock, times, log, onMetric } = options
  const bounds = {
    failuresMax: LIMITS.agentFailuresMax,
    windowMs: times.failureWindowMs,
    brokenMs: times.brokenMs
  }
  const openedAt = clock.now()
  const entries = new Map<ProjectId, Entry>()
  const fresh = (): Entry => ({
    state: 'stopped',
    since: openedAt,
    starts: 0,
    lastEnd: undefined,
    budget: UNUSED_BUDGET
  })

  const entryOf = (projectId: ProjectId): Entry => {
    const entry = entries.get(projectId) ?? fresh()
    entries.delete(projectId)
    entries.set(projectId, entry)
    if (entries.size > ENTRIES_MAX) dropOldest(entries)
    return entry
  }

  const become = (entry: Entry, next: AgentState) => {
    if (entry.state === next) return
    entry.state = follow(AGENT_STATES, entry.state, next)
    entry.since = clock.now()
  }

  const untilOf = ({ budget }: Entry): Date | undefined =>
    budget.kind === 'open'
      ? new Date(clock.now().getTime() + budget.untilMs - clock.monotonicMs())
      : undefined

  const apply = (projectId: ProjectId, entry: Entry, event: BudgetEvent) => {
    const { budget } = entry
    entry.budget = nextBudget(budget, event, clock.monotonicMs(), bounds)
    if (entry.budget === budget) return
    if (entry.budget.kind === 'open' && event === 'failure') {
      onMetric({ kind: 'broken' })
      log.warn({ projectId, until: untilOf(entry), last: entry.lastEnd?.how }, 'agent is broken')
    } else if (budget.kind !== 'closed' && entry.budget.kind === 'closed') {
      onMetric({ kind: 'repaired' })
      log.info({ projectId, event }, 'agent is not broken any more')
    }
  }

  /** The state without a process. */
  const rest = (entry: Entry) => become(entry, entry.budget.kind === 'open' ? 'broken' : 'stopped')

  return {
    read(projectId) {
      const entry = entries.get(projectId) ?? fresh()
      const { state, since, starts, lastEnd, budget } = entry
      const failures = recentFailures(budget, clock.monotonicMs(), bounds).length
      return { state, since, starts, lastEnd, failures, brokenUntil: untilOf(entry) }
    },

    become: (projectId, next) => become(entryOf(projectId), next),

    refuseStart(projectId) {
      const entry = entryOf(projectId)
      if (!mayStart(entry.budget, clock.monotonicMs())) return brokenAgent(entry, untilOf(entry))
      apply(projectId, entry, 'start')
      become(entry, 'starting')
      entry.starts += 1
      if (entry.starts > 1) onMetric({ kind: 'restarted' })
      return undefined
    },

    ended(projectId, { reason, how }, isPresent) {
      const entry = entryOf(projectId)
      entry.lastEnd = { reason, how: storable(cutChars(how, HOW_CHARS_MAX)), at: clock.now() }
      onMetric({ kind: 'ended', reason })
      apply(projectId, entry, AGENT_ENDS[reason].isFailure ? 'failure' : 'stop')
      if (isPresent) rest(entry)
    },

    startRefused(projectId, isPresent) {
      const entry = entryOf(projectId)
      apply(projectId, entry, 'stop')
      if (isPresent) rest(entry)
    },

    worked: (projectId) => apply(projectId, entryOf(projectId), 'success'),

    reset(projectId) {
      const entry = entryOf(projectId)
      apply(projectId, entry, 'reset')
      if (entry.state === 'broken') become(entry, 'stopped')
    },

    remove: (projectId) => void entries.delete(projectId),

    count() {
      const counts = { starting: 0, ready: 0, draining: 0, broken: 0 }
      for (const { state } of entries.values()) if (state !== 'stopped') counts[state] += 1
      return counts
    }
  }
}

function brokenAgent({ lastEnd }: Entry, until: Date | undefined): AgentFailure {
  const last = lastEnd ? ` The last one: ${lastEnd.reason} (${lastEnd.how}).` : ''
  const when = until ? `at ${until.toISOString()}` : 'when the present trial has ended'
  return unavailable(
    `The agent of this project failed ${LIMITS.agentFailuresMax} times in a short time, and is started again ${when} at the earliest, or when its restart is requested.${last}`
  )
}

function dropOldest(entries: Map<ProjectId, Entry>): void {
  for (const [projectId, { state }] of entries) {
    if (state !== 'stopped') continue
    entries.delete(projectId)
    return
  }
}
