import type { Generated } from 'kysely'
import type { ProjectId } from '#kernel/ids.ts'
import type { Big, Time } from './columns.ts'

/** How much of a hold its model requests may cost, or have cost. */
export interface HoldMetersTable {
  hold_id: string
  committed: Big
}

/** One model request: opened at the most that it may cost, closed at what it did cost. */
export interface ModelRequestsTable {
  id: string
  hold_id: string
  project_id: ProjectId
  /** Kilo's own ids of the conversation, and of the one that a sub-agent works for. */
  agent_session_id: string | null
  parent_session_id: string | null
  kind: 'turn' | 'title'
  /** `provider/model`. */
  model: string
  max_cost: Big
  /** What it costs if nobody ever hears how it ended: the input that is known. */
  floor_cost: Big
  state: Generated<'sent' | 'done' | 'lost'>
  cost: Big | null
  cost_pico_usd: Big | null
  /** How far the cost went above its maximum. */
  overrun: Generated<string>
  input: Big | null
  output: Big | null
  reasoning: Big | null
  cache_read: Big | null
  cache_write: Big | null
  outcome: string | null
  status: number | null
  ttfb_ms: number | null
  duration_ms: number | null
  created_at: Generated<Date>
  closed_at: Time | null
}

/** Every column is zero, always. */
export interface ModelRequestAuditView {
  committed_mismatch: string
  unsettled_requests: string
}
