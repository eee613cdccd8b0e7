import type { Clock } from '#kernel/clock.ts'
import type { ProjectId } from '#kernel/ids.ts'
import type { Log } from '#kernel/log.ts'
import type { RunningKilo } from '../agent/agent.ts'
import type { StopReason } from '../agent-end.ts'
import { AgentFailure } from '../agent-failure.ts'
import { createAdmission, type Admissible } from './admission.ts'
import type { AgentRecords } from './agent-records.ts'
import type { IdleFacts } from './idle-policy.ts'
import { decideRestart } from './restart-policy.ts'

/** The agent of one project, running or being started. */
export interface Slot {
  readonly projectId: ProjectId
  readonly starting: Promise<RunningKilo>
  /** Undefined while it is being started. */
  readonly kilo: RunningKilo | undefined
  /** How many borrowers have not returned it yet. */
  borrowers: number
  /** For people; how long it has been idle is measured by the monotonic clock. */
  lastUsedAt: Date
  lastUsedMs: number
  /** False from the moment that a borrower finds it idle until it has responded. */
  isChecked: boolean
}

interface OwnSlot extends Slot, Admissible {
  kilo: RunningKilo | undefined
  /** Why it was left. */
  leftFor: StopReason | undefined
  /** Aborts when its borrowers are not awaited any longer. */
  readonly hurry: AbortController
}

export interface AgentSlots {
  /** The project's slot, unless its process has exited or is about to. */
  find(projectId: ProjectId): Slot | undefined
  /**
   * A new slot, whose agent starts once it is admitted; `start` must end early when its signal aborts. Throws when the
   * project's agents have failed too often.
   */
  open(projectId: ProjectId, start: (signal: AbortSignal) => Promise<RunningKilo>): Slot
  /** Resolves when the project's agent has stopped, also one that is being started. */
  leave(projectId: ProjectId, reason: StopReason): Promise<void>
  /**
   * From now on the project's next borrower gets a new agent. The present one is stopped when its last borrower has
   * returned it, or when it is left. Resolves when it has stopped.
   */
  retire(projectId: ProjectId, reason: StopReason): Promise<void>
  leaveAll(reason: StopReason): Promise<void>
  /** What all agents use together; one that is starting does not count yet. */
  memoryBytes(): Promise<number>
  all(): readonly Slot[]
}

export interface SlotOptions {
  readonly agentsMax: number
  readonly memoryBytesMax: number
  readonly clock: Pick<Clock, 'now' | 'monotonicMs' | 'sleep'>
  readonly log: Pick<Log, 'info' | 'warn'>
  readonly records: AgentRecords
  readonly onStartFailed: () => void
}

const RETURN_POLL_MS = 50

/** One slot per project, and no more than `agentsMax` agents: an idle one is stopped for another project. */
export function createAgentSlots(options: SlotOptions): AgentSlots {
  const { agentsMax, memoryBytesMax, clock, log, records } = options
  const slots = new Map<ProjectId, OwnSlot>()
  const leaving = new Map<ProjectId, Promise<void>>()
  /** Slots that their last borrower has not returned yet. */
  const retiring = new Set<OwnSlot>()

  /** Removes the slot and has its agent stopped; `before` is awaited first. */
  const leave = (
    slot: OwnSlot,
    reason: StopReason,
    before: Promise<void> = Promise.resolve()
  ): Promise<void> => {
    const { projectId } = slot
    if (slots.get(projectId) !== slot) return leaving.get(projectId) ?? Promise.resolve()
    slots.delete(projectId)
    slot.leftFor = reason
    records.become(projectId, 'draining')
    const stopped = before
      .then(() => stopLeft(slot, reason))
      .finally(() => {
        if (leaving.get(projectId) === stopped) leaving.delete(projectId)
      })
    leaving.set(projectId, stopped)
    return stopped
  }

  const stopLeft = async ({ starting, left }: OwnSlot, reason: StopReason) => {
    left.abort(new AgentFailure('stopped', 'The agent was stopped.'))
    await starting.then(
      (kilo) => kilo.stop(reason),
      () => {}
    )
  }

  const all = () => [...slots.values()]
  const admit = createAdmission({
    agentsMax,
    memoryBytesMax,
    clock,
    log,
    slots: () => [...slots.values(), ...retiring],
    memoryOf,
    idleFacts: idleFactsOf,
    leave: (slot) => leave(slot, 'evicted')
  })

  /** Whether no newer slot has taken its place. */
  const isPresent = ({ projectId }: OwnSlot) => !slots.has(projectId)

  const remove = (slot: OwnSlot) => {
    if (slots.get(slot.projectId) === slot) slots.delete(slot.projectId)
  }

  const startIn = async (slot: OwnSlot, start: (signal: AbortSignal) => Promise<RunningKilo>) => {
    const { projectId } = slot
    let isAdmitted = false
    try {
      await leaving.get(projectId)
      await admit(slot)
      isAdmitted = true
      const kilo = await start(slot.left.signal)
      slot.kilo = kilo
      if (slots.get(projectId) === slot) records.become(projectId, 'ready')
      void kilo.exited.then((end) => {
        remove(slot)
        records.ended(projectId, end, isPresent(slot))
      })
      return kilo
    } catch (error) {
      remove(slot)
      const how = (error as Error).message
      if (slot.left.signal.aborted) {
        const reason = slot.leftFor ?? 'shutdown'
        records.ended(projectId, { reason, how }, isPresent(slot))
      } else {
        options.onStartFailed()
        log.warn({ projectId, err: error }, 'failed to start an agent')
        if (isAdmitted) records.ended(projectId, { reason: 'start_failed', how }, isPresent(slot))
        else records.startRefused(projectId, isPresent(slot))
      }
      throw error
    }
  }

  /** Resolves when every borrower has returned the agent, or when it is left. */
  const returned = async (slot: OwnSlot) => {
    const { signal } = slot.hurry
    while (slot.borrowers > 0 && !signal.aborted) {
      await clock.sleep(RETURN_POLL_MS, signal).catch(() => {})
    }
  }

  return {
    find(projectId) {
      const slot = slots.get(projectId)
      const present = slot ? (slot.kilo?.state ?? 'starting') : 'none'
      return decideRestart(present) === 'use' ? slot : undefined
    },

    open(projectId, start) {
      const refusal = records.refuseStart(projectId)
      if (refusal) throw refusal
      const started = Promise.withResolvers<RunningKilo>()
      const slot: OwnSlot = {
        projectId,
        starting: started.promise,
        kilo: undefined,
        borrowers: 0,
        lastUsedAt: clock.now(),
        lastUsedMs: clock.monotonicMs(),
        isChecked: true,
        leftFor: undefined,
        hurry: new AbortController(),
        left: new AbortController(),
        isAdmitted: false
      }
      slots.set(projectId, slot)
      startIn(slot, start).then(started.resolve, started.reject)
      return slot
    },

    async leave(projectId, reason) {
      for (const slot of retiring) if (slot.projectId === projectId) slot.hurry.abort()
      const slot = slots.get(projectId)
      await (slot ? leave(slot, reason) : leaving.get(projectId))
    },

    async retire(projectId, reason) {
      const slot = slots.get(projectId)
      if (!slot) return leaving.get(projectId)
      retiring.add(slot)
      await leave(slot, reason, returned(slot)).finally(() => retiring.delete(slot))
    },

    async leaveAll(reason) {
      for (const slot of retiring) slot.hurry.abort()
      await Promise.all([...all().map((slot) => leave(slot, reason)), ...leaving.values()])
    },

    async memoryBytes() {
      const each = await Promise.all([...slots.values(), ...retiring].map(memoryOf))
      return each.reduce<number>((total, bytes) => total + (bytes ?? 0), 0)
    },

    all
  }
}

const memoryOf = async ({ kilo }: Pick<Slot, 'kilo'>) => (await kilo?.stats())?.memoryBytes

export const idleFactsOf = (slot: Slot, nowMs: number): IdleFacts => ({
  nowMs,
  lastUsedMs: slot.lastUsedMs,
  busy: isBusy(slot)
})

const isBusy = ({ kilo, borrowers }: Slot): boolean =>
  !kilo || borrowers > 0 || kilo.turnsRunning > 0
