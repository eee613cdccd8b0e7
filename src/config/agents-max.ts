import { availableParallelism, totalmem } from 'node:os'

/** What a further idle agent takes, measured. The memory budget decides; a number of agents only bounds it. */
const BYTES_PER_IDLE_AGENT = 0.5e9
/** The rest is for this process, the database's cache and the operating system. */
const SHARE_FOR_AGENTS = 0.7
const AGENTS_PER_CORE = 4

export interface Machine {
  readonly memoryBytes: number
  readonly cores: number
}

/** The memory of all agents together on this machine. */
export const memoryForAgents = ({ memoryBytes }: Machine): number =>
  Math.floor(memoryBytes * SHARE_FOR_AGENTS)

/** The number of agents for this budget of memory, and this number of cores. */
export function agentsThatFit(
  agentsMemoryBytes: number,
  { cores }: Pick<Machine, 'cores'>
): number {
  const fit = Math.floor(agentsMemoryBytes / BYTES_PER_IDLE_AGENT)
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
