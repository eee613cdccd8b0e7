/** Why an agent ended. Its failures count towards the limit of its project; the server or a user caused the other ends. */
export const AGENT_ENDS = {
  idle: { isFailure: false },
  /** Another project needed its slot. */
  evicted: { isFailure: false },
  restarted: { isFailure: false },
  /** Its job was interrupted by a crash of the server. */
  interrupted: { isFailure: false },
  deleted: { isFailure: false },
  shutdown: { isFailure: false },
  /** It did not stop its turn when the job was cancelled, and was killed. */
  cancelled: { isFailure: false },
  /** Processes of a turn could not be ended. */
  leftovers: { isFailure: false },
  /** Stopped after a turn, because it had outgrown its memory. */
  recycled: { isFailure: false },
  /** Its room exceeded a limit, and was ended. */
  over_limit: { isFailure: true },
  start_failed: { isFailure: true },
  crashed: { isFailure: true },
  stalled: { isFailure: true }
} as const satisfies Record<string, { readonly isFailure: boolean }>

export type EndReason = keyof typeof AGENT_ENDS

/** The reasons for which the server stops an agent that works. */
export type StopReason =
  'idle' | 'evicted' | 'recycled' | 'restarted' | 'interrupted' | 'deleted' | 'shutdown'

export interface AgentEnd {
  readonly reason: EndReason
  /** “exited with code 1”, “was ended by SIGKILL”, or why it could not be started. */
  readonly how: string
}
