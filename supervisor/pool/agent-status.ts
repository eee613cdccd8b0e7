import type { Clock } from '#kernel/clock.ts'
import type { ProjectId } from '#kernel/ids.ts'
import { LIMITS } from '#kernel/limits.ts'
import type { RunningKilo } from '../agent/agent.ts'
import type { AgentRecord, AgentRecords } from './agent-records.ts'
import type { AgentSlots } from './slots.ts'

/** The agent of a project, for its users. */
export interface AgentStatus extends Omit<AgentRecord, 'starts'> {
  /** How often it was started after its first start by this server. */
  readonly restarts: number
  /** It is borrowed, or carries out a turn. */
  readonly busy: boolean
  /** Undefined unless its process runs and is ready. */
  readonly startedAt: Date | undefined
  readonly lastUsedAt: Date | undefined
  readonly usage: Usage | undefined
}

type Usage = Awaited<ReturnType<RunningKilo['stats']>>

/** Reads the status of agents. The usage of each is measured at most once a second: that reads files of all its processes. */
export function createStatusReader(
  slots: Pick<AgentSlots, 'find'>,
  records: Pick<AgentRecords, 'read'>,
  clock: Pick<Clock, 'monotonicMs'>
): (projectId: ProjectId) => Promise<AgentStatus> {
  const measured = new WeakMap<
    RunningKilo,
    { readonly atMs: number; readonly usage: Promise<Usage> }
  >()

  const usageOf = (kilo: RunningKilo): Promise<Usage> => {
    const nowMs = clock.monotonicMs()
    const last = measured.get(kilo)
    if (last && nowMs - last.atMs < LIMITS.agentUsageEveryMs) return last.usage
    const usage = kilo.stats()
    measured.set(kilo, { atMs: nowMs, usage })
    return usage
  }

  return async (projectId) => {
    const slot = slots.find(projectId)
    const kilo = slot?.kilo
    const usage = kilo && (await usageOf(kilo).catch(() => undefined))
    const { starts, ...record } = records.read(projectId)
    return {
      ...record,
      restarts: Math.max(0, starts - 1),
      busy: (slot?.borrowers ?? 0) > 0 || (kilo?.turnsRunning ?? 0) > 0,
      startedAt: kilo?.startedAt,
      lastUsedAt: slot?.lastUsedAt,
      usage
    }
  }
}
