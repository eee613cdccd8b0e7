/** The bounds of what one project may ask of the egress proxy. */
export const EGRESS_LIMITS = {
  connectionsMax: 64,
  /** From a connection until its request is complete. */
  headMs: 10_000,
  headBytesMax: 8192,
  resolveMs: 10_000,
  /** For each address of a host, of which at most `addressesMax` are tried. */
  connectMs: 5000,
  addressesMax: 4,
  /** A connection without data in either direction. */
  idleMs: 120_000,
  /** Refusals of a project that are logged in a minute; all are counted. */
  refusalsLoggedPerMinute: 20
} as const

/** The values of `EGRESS_LIMITS`, or shorter ones in tests. */
export type EgressLimits = { readonly [Name in keyof typeof EGRESS_LIMITS]: number }
