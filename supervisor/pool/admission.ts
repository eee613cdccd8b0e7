import type { Clock } from '#kernel/clock.ts'
import type { ProjectId } from '#kernel/ids.ts'
import type { Log } from '#kernel/log.ts'
import { createSerialQueue } from '#kernel/waiting.ts'
import { unavailable } from '../agent-failure.ts'
import { chooseToStop, type IdleFacts } from './idle-policy.ts'
import { decideAdmission } from './memory-policy.ts'

/** A slot as far as admission is concerned. */
export interface Admissible {
  readonly projectId: ProjectId
  /** Aborts when the slot is left before it was admitted. */
  readonly left: AbortController
  /** It counts towards `agentsMax`. */
  isAdmitted: boolean
}

export interface AdmissionOptions<S extends Admissible> {
  readonly agentsMax: number
  /** For all agents together. */
  readonly memoryBytesMax: number
  readonly clock: Pick<Clock, 'monotonicMs'>
  readonly log: Pick<Log, 'info'>
  readonly slots: () => readonly S[]
  readonly idleFacts: (slot: S, nowMs: number) => IdleFacts
  /** What an admitted slot uses now; undefined while its agent starts. */
  readonly memoryOf: (slot: S) => Promise<number | undefined>
  /** Stops the agent of a slot. */
  readonly leave: (slot: S) => Promise<void>
}

const REFUSALS = {
  'all-taken': (agentsMax: number) => `All ${agentsMax} agents of this server are busy.`,
  'no-memory': () => 'The agents of this server use all memory that it has for them, and are busy.'
}

/**
 * Admits slots while fewer than `agentsMax` are admitted and their memory leaves room for another, and stops the agent that
 * has been idle longest for another. Rejects when all are busy. Serial: two admissions at a time would take, or refuse each other, the same slot.
 */
export function createAdmission<S extends Admissible>(options: AdmissionOptions<S>) {
  const { agentsMax, memoryBytesMax, clock, log } = options
  const serial = createSerialQueue()

  const makeRoom = async (slot: S) => {
    for (;;) {
      slot.left.signal.throwIfAborted()
      const admitted = options.slots().filter(({ isAdmitted }) => isAdmitted)
      const usedBytes = await Promise.all(admitted.map(options.memoryOf))
      const decision = decideAdmission({ agentsMax, memoryBytesMax, usedBytes })
      if (decision === 'admit') break
      const nowMs = clock.monotonicMs()
      const chosen = chooseToStop(
        admitted.map((other) => ({ slot: other, ...options.idleFacts(other, nowMs) }))
      )
      if (!chosen) throw unavailable(REFUSALS[decision](agentsMax))
      const { projectId } = chosen.slot
      log.info({ projectId, why: decision }, 'idle agent stopped for another project')
      await options.leave(chosen.slot)
    }
    slot.isAdmitted = true
  }

  return (slot: S): Promise<void> => serial(() => makeRoom(slot))
}
