/**
 * What an agent takes at its peak, for one that is about to start or is starting: Kilo 7.7.7 takes 0.45 GB when it has
 * started, 0.55 GB after some jobs, and up to 0.83 GB for a moment when jobs follow each other without a pause.
 */
export const PLANNED_BYTES = 900_000_000

export interface AdmissionFacts {
  readonly agentsMax: number
  readonly memoryBytesMax: number
  /** Of each admitted agent; undefined while it starts. */
  readonly usedBytes: readonly (number | undefined)[]
}

/** Whether one more agent may start. The first one always may: a server without any agent would be of no use. */
export function decideAdmission({
  agentsMax,
  memoryBytesMax,
  usedBytes
}: AdmissionFacts): 'admit' | 'all-taken' | 'no-memory' {
  if (usedBytes.length === 0) return 'admit'
  if (usedBytes.length >= agentsMax) return 'all-taken'
  const used = usedBytes.reduce<number>((total, bytes) => total + (bytes ?? PLANNED_BYTES), 0)
  return used + PLANNED_BYTES <= memoryBytesMax ? 'admit' : 'no-memory'
}
