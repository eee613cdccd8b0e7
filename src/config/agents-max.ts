import { availableParallelism, totalmem } from 'node:os'

const GB = 1e9
/** What one agent in steady work takes, measured, with its project's own programs beside it. */
const BYTES_PER_AGENT = 1.2 * GB
/** The rest is for this process, the database's cache and the machine. */
const SHARE_FOR_AGENTS = 0.7
const AGENTS_PER_CORE = 4

export interface Machine {
  readonly memoryBytes: number
  readonly cores: number
}

/** How many agents this machine carries: as many as fit into memory, and not so many that all of them crawl. */
export function agentsThatFit({ memoryBytes, cores }: Machine): number {
  const fit = Math.floor((memoryBytes * SHARE_FOR_AGENTS) / BYTES_PER_AGENT)
  return Math.max(1, Math.min(fit, cores * AGENTS_PER_CORE))
}

/** The machine as this process may use it: a container's limit counts, where there is one. */
export function thisMachine(): Machine {
  const limit = process.constrainedMemory()
  const memory = totalmem()
  return {
    memoryBytes: limit > 0 && limit < memory ? limit : memory,
    cores: availableParallelism()
  }
}
