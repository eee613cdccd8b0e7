import { Gauge, type Registry } from 'prom-client'
import type { Removals } from '#kernel/machine/removals.ts'

/** Exports how many removed folders are still there: projects, or data of agents, that the server may not delete. */
export function watchRemovals(registry: Registry, removals: Pick<Removals, 'left'>): void {
  const left: Gauge = new Gauge({
    name: 'kilowatt_removals_left',
    help: 'Folders of removed projects and agents that the last sweep could not remove',
    registers: [registry],
    collect: () => left.set(removals.left)
  })
}
