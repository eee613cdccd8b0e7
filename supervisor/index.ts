export { openSupervisor } from './supervisor.ts'
export { AGENT_ENDS, type EndReason as AgentEndReason } from './agent-end.ts'
export { AgentFailure, type AgentFailureReason } from './agent-failure.ts'
export type { Agent, AgentTurn, SessionUsage } from './agent/agent.ts'
export type { AgentStatus } from './pool/agent-status.ts'
export type { BorrowedAgent } from './pool/lending.ts'
export type { Supervisor, RunningAgent } from './supervisor.ts'
export type {
  AgentTimes,
  ModelTimeouts,
  ProviderAccess,
  SupervisorMetric,
  SupervisorOptions
} from './options.ts'
export { KNOWN_MODES } from './agent/kilo-config.ts'
