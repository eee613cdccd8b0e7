import { EventEmitter } from 'node:events'
import type { Bus } from '#ports/bus.ts'

/** The bus within this process. */
export function createEmbeddedBus(): Bus {
  const bells = new EventEmitter().setMaxListeners(0)

  return {
    ring: (topic) => void bells.emit(topic),
    listen: (topic, onRing) => {
      bells.on(topic, onRing)
      return () => bells.off(topic, onRing)
    }
  }
}
