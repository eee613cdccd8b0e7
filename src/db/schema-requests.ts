import type { Generated } from 'kysely'
import type { ProjectId } from '#kernel/ids.ts'
import type { Big, Time } from './columns.ts'

/** The part of a hold that is committed to model requests. */
export interface HoldMetersTable {
  hold_id: string
  committed: Big
}

/** One model request: opened with its maximum cost, closed with its actual cost. */
export interface ModelRequestsTable {
  id: string
  hold_id: string
  project_id: ProjectId
  /** Kilo's session id, and the session id of the parent of a sub-agent. */
  agent_session_id: string | null
  parent_session_id: string | null
  kind: 'turn' | 'title'
  /** `provider/model`. */
  model: string
  max_cost: Big
  /** The cost that is charged if the request is lost: its known input. */
  floor_cost: Big
  state: Generated<'sent' | 'done' | 'lost'>
  cost: Big | null
  cost_pico_usd: Big | null
  /** The amount by which the cost exceeded `max_cost`. */
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

/** Every column must be zero. */
export interface ModelRequestAuditView {
  committed_mismatch: string
  unsettled_requests: string
}
