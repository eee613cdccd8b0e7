import { LIMITS } from '#kernel/limits.ts'

/** What is known when a project was measured before. */
export interface WalkFacts {
  /** How long the previous walk took, and how long ago it ended. */
  readonly tookMs: number
  readonly pausedMs: number
  /** What the project may still take by the previous walk. */
  readonly left: Space
  /** What the file system has lost since then, to any of its users. */
  readonly lost: Space
  /** The file system does not count its files. */
  readonly countsNoFiles: boolean
}

export interface Space {
  readonly bytes: number
  readonly files: number
}

/** A pause is this many times as long as the walk before it: 5 % of a thread, or a third while the disk fills up. */
const PAUSE_FACTOR = 20
const HURRY_FACTOR = 2
/** These parts of what is left: the disk fills up; and too little to be worth a walk that takes long. */
const FILLS = 0.5
const NEGLIGIBLE = 0.02

/**
 * Whether it is time for another walk. A short one is repeated about every second. One that takes long (a large project)
 * needs a reason: a project cannot take more than the file system has lost. Others may have returned space meanwhile, so
 * that the loss does not show; therefore a measurement is used for some minutes only.
 */
export function decideWalk({ tookMs, pausedMs, left, lost, countsNoFiles }: WalkFacts): boolean {
  if (pausedMs < tookMs * HURRY_FACTOR) return false
  const hasLost = (part: number) => lost.bytes > part * left.bytes || lost.files > part * left.files
  if (hasLost(FILLS)) return true
  const pauseMs = Math.max(LIMITS.agentDiskWalkMs, tookMs * PAUSE_FACTOR)
  if (pausedMs < Math.min(pauseMs, LIMITS.agentDiskWalkMsMax)) return false
  const isShort = pauseMs === LIMITS.agentDiskWalkMs
  return isShort || countsNoFiles || hasLost(NEGLIGIBLE) || pausedMs >= LIMITS.agentDiskWalkAgeMs
}
