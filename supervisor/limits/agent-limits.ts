import { LIMITS } from '#kernel/limits.ts'

/** What the processes and files of one project may take: see “Limits” in docs/isolation.md. */
export interface AgentLimits {
  /** An agent above it is stopped when its turn has ended. Proportional set size, as all memory here. */
  readonly memorySoftBytes: number
  /** A room above it is killed. */
  readonly memoryMaxBytes: number
  /** Processes and threads of a room. */
  readonly processesMax: number
  /** Of one process. */
  readonly openFilesMax: number
  readonly nice: number
  /** The worktree and the agent's own data, in bytes on disk. */
  readonly quotaBytes: number
  /** Files and folders of both. */
  readonly quotaFiles: number
}

export const AGENT_LIMITS: AgentLimits = {
  memorySoftBytes: LIMITS.agentMemorySoftBytes,
  memoryMaxBytes: LIMITS.agentMemoryBytesMax,
  processesMax: LIMITS.agentProcessesMax,
  openFilesMax: LIMITS.agentOpenFilesMax,
  nice: LIMITS.agentNice,
  quotaBytes: LIMITS.quotaProjectBytes,
  quotaFiles: LIMITS.quotaProjectFiles
}
