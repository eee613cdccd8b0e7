import type { Clock } from '#kernel/clock.ts'
import type { ProjectId } from '#kernel/ids.ts'
import type { Log } from '#kernel/log.ts'
import type { RunningKilo } from '../agent/agent.ts'
import { AgentFailure } from '../agent-failure.ts'
import { createAdmission, type Admissible } from './admission.ts'
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
  lastUsedAt: Date
}

interface OwnSlot extends Slot, Admissible {
  kilo: RunningKilo | undefined
}

export interface AgentSlots {
  /** The project's slot, unless its process has exited or is about to. */
  find(projectId: ProjectId): Slot | undefined
  /** A new slot, whose agent starts once it is admitted; `start` must end early when its signal aborts. */
  open(projectId: ProjectId, start: (signal: AbortSignal) => Promise<RunningKilo>): Slot
  /** Resolves when the project's agent has stopped, also one that is being started. */
  leave(projectId: ProjectId): Promise<void>
  leaveAll(): Promise<void>
  /** What all agents use together; one that is starting does not count yet. */
  memoryBytes(): Promise<number>
  all(): readonly Slot[]
}

export interface SlotOptions {
  readonly agentsMax: number
  readonly memoryBytesMax: number
  readonly clock: Pick<Clock, 'now'>
  readonly log: Pick<Log, 'info' | 'warn'>
  readonly onStartFailed: () => void
}

/** One slot per project, and no more than `agentsMax` agents: an idle one is stopped for another project. */
export function createAgentSlots(options: SlotOptions): AgentSlots {
  const { agentsMax, memoryBytesMax, clock, log } = options
  const slots = new Map<ProjectId, OwnSlot>()
  const leaving = new Map<ProjectId, Promise<void>>()

  const leave = (slot: OwnSlot): Promise<void> => {
    const { projectId, starting, left } = slot
    if (slots.get(projectId) !== slot) return leaving.get(projectId) ?? Promise.resolve()
    slots.delete(projectId)
    left.abort(new AgentFailure('stopped', 'The agent was stopped.'))
    const stopped = starting
      .then(
        (kilo) => kilo.stop(),
        () => {}
      )
      .finally(() => {
        if (leaving.get(projectId) === stopped) leaving.delete(projectId)
      })
    leaving.set(projectId, stopped)
    return stopped
  }

  const all = () => [...slots.values()]
  const admit = createAdmission({
    agentsMax,
    memoryBytesMax,
    clock,
    log,
    slots: all,
    memoryOf,
    idleFacts: idleFactsOf,
    leave
  })

  const remove = (slot: OwnSlot) => {
    if (slots.get(slot.projectId) === slot) slots.delete(slot.projectId)
  }

  const startIn = async (slot: OwnSlot, start: (signal: AbortSignal) => Promise<RunningKilo>) => {
    try {
      await leaving.get(slot.projectId)
      await admit(slot)
      const kilo = await start(slot.left.signal)
      slot.kilo = kilo
      void kilo.exited.then(() => remove(slot))
      return kilo
    } catch (error) {
      remove(slot)
      if (!slot.left.signal.aborted) {
        options.onStartFailed()
        log.warn({ projectId: slot.projectId, err: error }, 'failed to start an agent')
      }
      throw error
    }
  }

  return {
    find(projectId) {
      const slot = slots.get(projectId)
      const present = slot ? (slot.kilo?.state ?? 'starting') : 'none'
      return decideRestart(present) === 'use' ? slot : undefined
    },

    open(projectId, start) {
      const started = Promise.withResolvers<RunningKilo>()
      const slot: OwnSlot = {
        projectId,
        starting: started.promise,
        kilo: undefined,
        borrowers: 0,
        lastUsedAt: clock.now(),
        left: new AbortController(),
        isAdmitted: false
      }
      slots.set(projectId, slot)
      startIn(slot, start).then(started.resolve, started.reject)
      return slot
    },

    async leave(projectId) {
      const slot = slots.get(projectId)
      await (slot ? leave(slot) : leaving.get(projectId))
    },

    async leaveAll() {
      await Promise.all([...all().map(leave), ...leaving.values()])
    },

    async memoryBytes() {
      const each = await Promise.all(all().map(memoryOf))
      return each.reduce<number>((total, bytes) => total + (bytes ?? 0), 0)
    },

    all
  }
}

const memoryOf = async ({ kilo }: Pick<Slot, 'kilo'>) => (await kilo?.stats())?.memoryBytes

export const idleFactsOf = (slot: Slot, now: Date): IdleFacts => ({
  now,
  lastUsedAt: slot.lastUsedAt,
  busy: isBusy(slot)
})

const isBusy = ({ kilo, borrowers }: Slot): boolean =>
  !kilo || borrowers > 0 || kilo.turnsRunning > 0
