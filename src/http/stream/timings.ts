import { LIMITS } from '#kernel/limits.ts'
import type { Timings } from '../app-deps.ts'

/** What we promise, unless somebody is in a hurry. */
export const timingsOf = (given: Partial<Timings> = {}): Timings => ({
  heartbeatMs: LIMITS.socketHeartbeatMs,
  silenceMs: LIMITS.socketSilenceMs,
  handshakeMs: LIMITS.socketHandshakeMs,
  stallMs: LIMITS.socketStallMs,
  ...given
})
