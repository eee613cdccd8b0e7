import { AgentFailure } from '../agent-failure.ts'
import type { AgentLimits } from '#kernel/limits.ts'
import { DEPTH_MAX, type DiskUsage } from './disk-walk.ts'

export interface Occupied {
  /** Processes and threads. */
  readonly tasks: number
  readonly memoryBytes: number
}

/** Why a room with this usage must be ended; undefined when it is within its limits. */
export function excessOf(
  { tasks, memoryBytes }: Occupied,
  { processesMax, memoryMaxBytes }: Pick<AgentLimits, 'processesMax' | 'memoryMaxBytes'>
): AgentFailure | undefined {
  if (tasks > processesMax) {
    return new AgentFailure(
      'too-many-processes',
      `The agent and its commands had ${counted(tasks)} processes and threads; the limit is ${counted(processesMax)}.`
    )
  }
  if (memoryBytes > memoryMaxBytes) {
    return new AgentFailure(
      'out-of-memory',
      `The agent and its commands used ${sized(memoryBytes)} of memory; the limit is ${sized(memoryMaxBytes)}.`
    )
  }
  return undefined
}

export type Quota = Pick<AgentLimits, 'quotaBytes' | 'quotaFiles'>

/** What a turn may add to a project that is over its quota already: the agent's own database and logs. */
const GROWTH = { bytes: 32 * 1024 * 1024, files: 500 }

/**
 * The quota of one turn. A project that is over its quota before the turn may not grow, but it may still be worked on:
 * otherwise no agent could clear it up.
 */
export function quotaOfTurn(
  { quotaBytes, quotaFiles }: Quota,
  before: DiskUsage | undefined
): Quota {
  if (!before) return { quotaBytes, quotaFiles }
  return {
    quotaBytes: before.bytes > quotaBytes ? before.bytes + GROWTH.bytes : quotaBytes,
    quotaFiles: before.files > quotaFiles ? before.files + GROWTH.files : quotaFiles
  }
}

/** Why a turn must be ended whose project occupies this much; undefined when it is within its quota. */
export function excessOnDisk(
  { bytes, files, isTooDeep }: DiskUsage,
  { quotaBytes, quotaFiles }: Quota
): AgentFailure | undefined {
  const full = (what: string) => new AgentFailure('disk-full', `The project ${what}.`)
  if (bytes > quotaBytes)
    return full(`occupies more than its limit of ${sized(quotaBytes)} on disk`)
  if (files > quotaFiles) {
    return full(`has more files and folders than its limit of ${counted(quotaFiles)}`)
  }
  if (isTooDeep) return full(`has folders nested more deeply than ${DEPTH_MAX}`)
  return undefined
}

/** From this part of the quota on a turn is measured at its end, too, before its work is kept. */
const NEAR = 0.8

export const isNearQuota = ({ bytes, files }: DiskUsage, { quotaBytes, quotaFiles }: Quota) =>
  bytes > NEAR * quotaBytes || files > NEAR * quotaFiles

const counted = (count: number) => count.toLocaleString('en')

const sized = (bytes: number) =>
  bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`
