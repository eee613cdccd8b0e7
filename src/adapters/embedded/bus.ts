import { EventEmitter } from 'node:events'
import type { Bus } from '#ports/bus.ts'

/** A bell within this process. */
export function createEmbeddedBus(): Bus {
  const bells = new EventEmitter().setMaxListeners(0)

  return {
    ring: (topic) => void bells.emit(topic),
    listen: (topic, heard) => {
      bells.on(topic, heard)
      return () => bells.off(topic, heard)
    }
  }
}
