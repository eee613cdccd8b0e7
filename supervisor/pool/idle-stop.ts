import type { SupervisorOptions } from '../options.ts'
import { decideIdle } from './idle-policy.ts'
import { idleFactsOf, type AgentSlots } from './slots.ts'

const IDLE_POLL_MS_MAX = 10_000

/** Stops agents that were not used for `idleStopMs`, until it is disposed. */
export function stopIdleAgents(
  slots: Pick<AgentSlots, 'all' | 'leave'>,
  { clock, log, idleStopMs }: Pick<SupervisorOptions, 'clock' | 'log' | 'idleStopMs'>
): Disposable {
  const stopIdle = () => {
    for (const slot of slots.all()) {
      const { projectId } = slot
      if (decideIdle(idleFactsOf(slot, clock.monotonicMs()), idleStopMs) === 'keep') continue
      log.info({ projectId }, 'idle agent stopped')
      void slots.leave(projectId, 'idle')
    }
  }
  const everyMs = Math.min(IDLE_POLL_MS_MAX, Math.max(50, idleStopMs / 4))
  const timer = setInterval(stopIdle, everyMs)
  timer.unref()
  return { [Symbol.dispose]: () => clearInterval(timer) }
}
