import assert from 'node:assert/strict'

const SECOND_MS = 1000
const MINUTE_MS = 60 * SECOND_MS
const KIB = 1024
const MIB = 1024 * KIB

/** Every limit of sizes and times, with the unit at the end of its name. */
export const LIMITS = {
  promptCharsMax: 100_000,
  jobsQueuedPerProjectMax: 20,
  pageItemsDefault: 50,
  pageItemsMax: 200,
  bodyBytesMax: 256 * KIB,
  promptBodyBytesMax: 2 * MIB,
  fileBodyBytesMax: 16 * MIB,
  bodyDepthMax: 64,
  bodyValuesMax: 20_000,
  bodiesPerUserBytesMax: 48 * MIB,
  bodiesBytesMax: 192 * MIB,
  bodyGraceMs: 10 * SECOND_MS,
  bodyBytesPerSecondMin: 8 * KIB,
  unreadBodyMs: 5 * SECOND_MS,
  headersMs: 30 * SECOND_MS,

  egressBytesPerDay: 10_000 * MIB,

  quotaProjectBytes: 5120 * MIB,
  quotaProjectFiles: 200_000,
  quotaAgeMs: 30 * SECOND_MS,
  fileBytesMax: 10 * MIB,
  pathBytesMax: 4096,
  pathSegmentsMax: 64,
  removedPathBytesMax: 64 * KIB,
  filesPerCreateMax: 1000,
  cloneFilesMax: 50_000,
  cloneBytesMax: 1024 * MIB,
  diffPatchBytesMax: 256 * KIB,
  diffRawBytesMax: 64 * MIB,
  diffFilesMax: 3000,

  diskReserveBytes: 64 * MIB,
  diskWatchMs: SECOND_MS,
  readyMs: 5 * SECOND_MS,
  readyAgeMs: SECOND_MS,

  leaseTtlMs: 30 * SECOND_MS,
  leaseRenewEveryMs: 10 * SECOND_MS,
  leaseGiveUpAfterMs: 20 * SECOND_MS,
  sweepEveryMs: 10 * SECOND_MS,
  autovacuumEveryMs: 5 * MINUTE_MS,

  agentStartMs: 60 * SECOND_MS,
  agentStartMaxMs: 3 * MINUTE_MS,
  agentStopMs: 5 * SECOND_MS,
  agentRequestMs: 15 * SECOND_MS,
  agentStreamSilenceMs: 25 * SECOND_MS,
  agentStreamRenewMs: 30 * SECOND_MS,
  agentHealthMs: 5 * SECOND_MS,
  agentProbeAfterMs: 5 * SECOND_MS,
  agentProbeMs: 2 * SECOND_MS,
  agentFailuresMax: 5,
  agentFailureWindowMs: 10 * MINUTE_MS,
  agentBrokenMs: 5 * MINUTE_MS,
  agentUsageEveryMs: SECOND_MS,
  agentRestartWaitMs: 15 * SECOND_MS,
  turnOpenMs: 5 * SECOND_MS,
  turnOpenMaxMs: MINUTE_MS,
  turnSilenceMs: 30 * SECOND_MS,
  turnProgressMs: 15 * MINUTE_MS,
  cancelGraceMs: 5 * SECOND_MS,
  promptAnswerMs: 2 * MINUTE_MS,
  agentMemorySoftBytes: 1280 * MIB,
  agentMemoryBytesMax: 2048 * MIB,
  agentProcessesMax: 2048,
  agentOpenFilesMax: 8192,
  agentNice: 5,
  agentUsagePollMs: 300,
  agentUsagePollMsMax: 3 * SECOND_MS,
  agentDiskWalkMs: SECOND_MS,
  agentDiskWalkMsMax: 20 * SECOND_MS,
  agentDiskWalkAgeMs: 5 * MINUTE_MS,
  agentMemoryAgeMs: 5 * SECOND_MS,
  sessionIdleWaitMs: 5 * SECOND_MS,
  networkRetriesPerTurnMax: 3,
  stepsPerJobMax: 200,
  goodwillJobsPerHour: 3,

  modelRequestBytesMax: 32 * MIB,
  modelRequestDepthMax: 128,
  modelRequestValuesMax: 200_000,
  modelRequestsPerAgentBytesMax: 96 * MIB,
  modelRequestsBytesMax: 384 * MIB,
  modelAnswerBytesMax: 32 * MIB,
  modelErrorBytesMax: 64 * KIB,
  answerTokensDefault: 16_000,
  answerTokensMin: 256,
  modelDrainMs: 30 * SECOND_MS,
  modelSilenceMs: 2 * MINUTE_MS,
  usageWaitMs: 2 * SECOND_MS,
  modelShareWaitMs: 30 * SECOND_MS,

  toolTextBytesMax: 16 * KIB,
  logJoinMs: 50,
  logJoinBytes: 4 * KIB,
  logFrameCharsMax: 64 * KIB,

  framesPerWrite: 500,
  framesPerPage: 500,
  framesPerLook: 16,
  framesPageBytesMax: MIB,
  retentionEveryMs: 60 * MINUTE_MS,
  retentionBatchFrames: 200,
  retentionBatchProjects: 200,
  ticketTtlMs: MINUTE_MS,
  socketHeartbeatMs: 15 * SECOND_MS,
  socketSilenceMs: 45 * SECOND_MS,
  socketBufferBytesMax: MIB,
  socketMessageBytesMax: 64 * KIB,
  socketSubscriptionsMax: 64,
  socketsPerUserMax: 50,
  socketsPerAddressMax: 500,
  socketHandshakeMs: 10 * SECOND_MS,
  socketStallMs: 2 * SECOND_MS,
  idempotencyKeyTtlMs: 24 * 60 * MINUTE_MS,
  idempotencyAbandonedMs: MINUTE_MS,
  idempotencyTouchEveryMs: 20 * SECOND_MS,
  requestsPerMinuteMax: 6000,
  apiKeysPerUserMax: 50,
  keyUseEveryMs: MINUTE_MS,
  keyOverlapSecondsMax: 7 * 24 * 60 * 60,
  wrongKeysFree: 10,
  wrongKeysKeptMs: 15 * MINUTE_MS,
  wrongKeyDelayMsMax: 5 * MINUTE_MS
} as const

assert.ok(
  LIMITS.leaseRenewEveryMs * 2 <= LIMITS.leaseGiveUpAfterMs &&
    LIMITS.leaseGiveUpAfterMs + LIMITS.cancelGraceMs < LIMITS.leaseTtlMs,
  'one renewal may fail before the lease counts as lost, and the agent is stopped before the lease expires'
)

/** What the processes and files of one project may take: see “Limits” in docs/isolation.md. */
export interface AgentLimits {
  /** An agent above it is stopped when its turn has ended. Proportional set size, as all memory here. */
  readonly memorySoftBytes: number
  /** A room above it is killed. */
  readonly memoryMaxBytes: number
  /** Processes and threads of a room. The kernel counts them for a room's own user; root is exempt. */
  readonly processesMax: number
  /** Of one process. */
  readonly openFilesMax: number
  /** Subtracted from the share of CPU time that the server has: 0 to 19. */
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
