import { availableParallelism, totalmem } from 'node:os'

const GB = 1e9
/** Memory of one working agent with the programs that it starts, measured. */
const BYTES_PER_AGENT = 1.2 * GB
/** The rest is for this process, the database's cache and the operating system. */
const SHARE_FOR_AGENTS = 0.7
const AGENTS_PER_CORE = 4

export interface Machine {
  readonly memoryBytes: number
  readonly cores: number
}

/** The number of agents for this machine: limited by memory, and by cores. */
export function agentsThatFit({ memoryBytes, cores }: Machine): number {
  const fit = Math.floor((memoryBytes * SHARE_FOR_AGENTS) / BYTES_PER_AGENT)
  return Math.max(1, Math.min(fit, cores * AGENTS_PER_CORE))
}

/** Memory and cores that this process may use; a container's memory limit counts. */
export function thisMachine(): Machine {
  const limit = process.constrainedMemory()
  const memory = totalmem()
  return {
    memoryBytes: limit > 0 && limit < memory ? limit : memory,
    cores: availableParallelism()
  }
}
