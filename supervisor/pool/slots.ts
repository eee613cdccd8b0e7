import type { Clock } from '#kernel/clock.ts'
import type { ProjectId } from '#kernel/ids.ts'
import type { Log } from '#kernel/log.ts'
import type { RunningKilo } from '../agent/agent.ts'
import { chooseToStop, type IdleFacts } from './idle-policy.ts'
import { AgentFailure, unavailable } from '../agent-failure.ts'

/** Where one project's agent is, or is going to be. */
export interface Slot {
  readonly projectId: ProjectId
  readonly starting: Promise<RunningKilo>
  /** Undefined while it is being started. */
  readonly kilo: RunningKilo | undefined
  /** How many have borrowed its agent and not given it back yet. */
  borrowers: number
  lastUsedAt: Date
}

interface OwnSlot extends Slot {
  readonly left: AbortController
  kilo: RunningKilo | undefined
  /** It counts: there was room for it. */
  isAdmitted: boolean
}

export interface AgentSlots {
  /** The project's slot, unless its process has ended, or is about to: that is nobody's agent. */
  find(projectId: ProjectId): Slot | undefined
  /** A slot whose agent starts once there is room; `start` ends early when its signal aborts. */
  open(projectId: ProjectId, start: (signal: AbortSignal) => Promise<RunningKilo>): Slot
  /** Whatever runs or starts there is gone when this resolves. */
  leave(projectId: ProjectId): Promise<void>
  leaveAll(): Promise<void>
  all(): readonly Slot[]
}

export interface SlotOptions {
  readonly agentsMax: number
  readonly clock: Clock
  readonly log: Log
  readonly onStartFailed: () => void
}

/** One slot a project, and no more agents than there is room for: one that nobody uses makes room for another. */
export function createAgentSlots(options: SlotOptions): AgentSlots {
  const { agentsMax, clock, log } = options
  const slots = new Map<ProjectId, OwnSlot>()
  const leaving = new Map<ProjectId, Promise<void>>()
  let lastAdmission: Promise<unknown> = Promise.resolve()

  const leave = (slot: OwnSlot): Promise<void> => {
    const { projectId, starting, left } = slot
    if (slots.get(projectId) !== slot) return leaving.get(projectId) ?? Promise.resolve()
    slots.delete(projectId)
    left.abort(new AgentFailure('stopped', 'The agent was stopped.'))
    const gone = starting
      .then(
        (kilo) => kilo.stop(),
        () => {}
      )
      .finally(() => {
        if (leaving.get(projectId) === gone) leaving.delete(projectId)
      })
    leaving.set(projectId, gone)
    return gone
  }

  const makeRoom = async (slot: OwnSlot) => {
    for (;;) {
      slot.left.signal.throwIfAborted()
      const admitted = [...slots.values()].filter(({ isAdmitted }) => isAdmitted)
      if (admitted.length < agentsMax) break
      const chosen = chooseToStop(
        admitted.map((other) => ({ slot: other, ...idleFactsOf(other, clock.now()) }))
      )
      if (!chosen) throw unavailable(`All ${agentsMax} agents of this server are busy.`)
      log.info({ projectId: chosen.slot.projectId }, 'agent stopped to make room')
      await leave(chosen.slot)
    }
    slot.isAdmitted = true
  }

  // One after the other: two that look at the same time would take the same room, or refuse it to each other.
  const admit = (slot: OwnSlot): Promise<void> => {
    const admission = lastAdmission.then(() => makeRoom(slot))
    lastAdmission = admission.catch(() => {})
    return admission
  }

  const forget = (slot: OwnSlot) => {
    if (slots.get(slot.projectId) === slot) slots.delete(slot.projectId)
  }

  return {
    find(projectId) {
      const slot = slots.get(projectId)
      return slot?.kilo && slot.kilo.state !== 'ready' ? undefined : slot
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

      const run = async () => {
        await leaving.get(projectId)
        await admit(slot)
        return start(slot.left.signal)
      }
      run().then(
        (kilo) => {
          slot.kilo = kilo
          void kilo.exited.then(() => forget(slot))
          started.resolve(kilo)
        },
        (error: unknown) => {
          forget(slot)
          started.reject(error)
          if (slot.left.signal.aborted) return
          options.onStartFailed()
          log.warn({ projectId, err: error }, 'agent could not be started')
        }
      )
      return slot
    },

    async leave(projectId) {
      const slot = slots.get(projectId)
      await (slot ? leave(slot) : leaving.get(projectId))
    },

    async leaveAll() {
      await Promise.all([...[...slots.values()].map(leave), ...leaving.values()])
    },

    all: () => [...slots.values()]
  }
}

export const idleFactsOf = (slot: Slot, now: Date): IdleFacts => ({
  now,
  lastUsedAt: slot.lastUsedAt,
  busy: isBusy(slot)
})

/** Somebody waits for its agent, has borrowed it, or lets it carry out a turn. */
const isBusy = ({ kilo, borrowers }: Slot): boolean =>
  !kilo || borrowers > 0 || kilo.turnsRunning > 0
