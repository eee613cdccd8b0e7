import type { ColumnType, Generated, JSONColumnType } from 'kysely'
import type { EventId, JobId, ProjectId, SessionId, UserId } from '#kernel/ids.ts'
import type { Goodwill, JobStatus, MergeState, Review } from '#kernel/frames.ts'
import type { Big, Time } from './columns.ts'
import type { ApiKeysTable, WsTicketsTable } from './schema-keys.ts'
import type {
  LedgerAccountsTable,
  LedgerAuditView,
  LedgerGoodwillAuditView,
  LedgerGoodwillTable,
  LedgerHoldResolutionsTable,
  LedgerHoldsTable,
  LedgerTransfersTable
} from './schema-ledger.ts'
import type {
  HoldMetersTable,
  ModelRequestAuditView,
  ModelRequestsTable
} from './schema-requests.ts'

type Json<T> = ColumnType<T, string, string>

export interface UsersTable {
  id: UserId
  name: string | null
  created_at: Generated<Date>
}

export interface ProjectsTable {
  id: ProjectId
  user_id: UserId
  name: string
  review: Review
  /** The last `seq` of this project's history. */
  last_seq: Generated<string>
  created_at: Generated<Date>
  deleted_at: Time | null
}

export interface ProjectEventsTable {
  project_id: ProjectId
  seq: Big
  id: EventId
  job_id: JobId | null
  type: string
  data: Json<unknown>
  created_at: Generated<Date>
}

export interface ProjectLeasesTable {
  project_id: ProjectId
  /** The fencing token: it only grows, and every write of a worker is conditional on it. */
  token: Big
  holder: string
  expires_at: Time
}

export interface SessionsTable {
  id: SessionId
  project_id: ProjectId
  title: string
  /** Kilo's own id of the conversation; null before its first job. */
  agent_session_id: string | null
  created_at: Generated<Date>
  last_used_at: Generated<Date>
}

export interface JobsTable {
  id: JobId
  /** Order of arrival: jobs of one project run oldest first. */
  position: Generated<string>
  project_id: ProjectId
  user_id: UserId
  session_id: SessionId
  status: JobStatus
  text: string
  mode: string
  model: string
  current_file_path: string | null
  review: Review
  max_credits: Big | null
  reserved: Big
  charged: Big | null
  refunded: Big | null
  /** Of a failure that an agent can cause: whether its usage was refunded, or the limit that prevented it. */
  goodwill: Goodwill | null
  usage: Json<object> | null
  /** Finished steps whose usage differs between session metadata and the gateway. */
  usage_mismatch: ColumnType<object | null, object | string | null, string | null>
  branch: string | null
  base: string | null
  commit: string | null
  /** The job whose unreviewed work this job's work stands on; null: it stands on main. */
  based_on: JobId | null
  merge: MergeState
  /** Who carries out a review (`merging`), what it is and of which merge state; all null without one. */
  review_claim: string | null
  review_verb: 'merge' | 'discard' | 'revert' | null
  review_by: UserId | null
  review_of: MergeState | null
  /** The merge state in which the review is to leave this job. */
  review_to: MergeState | null
  review_claimed_at: Time | null
  error_code: string | null
  error_message: string | null
  /** The lease token under which the job was claimed. */
  token: Big | null
  agent_session_id: string | null
  prompt_sent_at: Time | null
  cancel_requested_at: Time | null
  created_at: Generated<Date>
  started_at: Time | null
  finished_at: Time | null
}

/** A question or permission request of the agent, and its answer. The row is written before the bell rings. */
export interface JobPromptsTable {
  id: string
  job_id: JobId
  kind: 'permission' | 'question'
  body: JSONColumnType<object>
  expires_at: Time
  answer: Json<object> | null
  answered_by: string | null
  answered_at: Time | null
  resolved_at: Time | null
}

/** An edit that is under way: written before the workspace changes, removed together with the edit's event. */
export interface PendingEditsTable {
  id: Generated<string>
  kind: 'create' | 'save' | 'remove'
  project_id: ProjectId
  user_id: UserId
  path: string | null
  /** The git blob id that a save is to leave. */
  sha: string | null
  /** The commit of main before the edit. */
  head: string | null
  /** Of the commit, if the user gave one. */
  message: string | null
  created_at: Generated<Date>
}

export interface IdempotencyKeysTable {
  user_id: UserId
  key: string
  route: string
  body_hash: string
  status: number | null
  headers: Json<object> | null
  body: string | null
  /** The reserved id of the resource that the request creates. */
  ulid: string | null
  created_at: Generated<Date>
}

/** All tables and views. */
export interface Schema {
  users: UsersTable
  api_keys: ApiKeysTable
  projects: ProjectsTable
  project_events: ProjectEventsTable
  project_leases: ProjectLeasesTable
  sessions: SessionsTable
  jobs: JobsTable
  job_prompts: JobPromptsTable
  pending_edits: PendingEditsTable
  idempotency_keys: IdempotencyKeysTable
  ws_tickets: WsTicketsTable
  ledger_accounts: LedgerAccountsTable
  ledger_transfers: LedgerTransfersTable
  ledger_holds: LedgerHoldsTable
  ledger_hold_resolutions: LedgerHoldResolutionsTable
  ledger_audit: LedgerAuditView
  ledger_goodwill: LedgerGoodwillTable
  ledger_goodwill_audit: LedgerGoodwillAuditView
  hold_meters: HoldMetersTable
  model_requests: ModelRequestsTable
  model_request_audit: ModelRequestAuditView
}
