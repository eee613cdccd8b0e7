import { sql, type Selectable } from 'kysely'
import type { Db, Schema } from '#db'
import { microcredits, ZERO, type Microcredits } from '#kernel/money.ts'
import type {
  CloseResult,
  ModelRequest,
  NewRequest,
  OpenResult,
  RequestEnd
} from './model-request.ts'

const money = (text: string) => microcredits(BigInt(text))

export async function insertRequest(db: Db, request: NewRequest): Promise<OpenResult> {
  const row = {
    id: request.id,
    hold_id: request.holdId,
    project_id: request.projectId,
    agent_session_id: request.agentSessionId,
    parent_session_id: request.parentSessionId,
    kind: request.kind,
    model: request.model,
    max_cost: String(request.maxCost),
    floor_cost: String(request.floorCost)
  }
  const { rows } = await sql<{ answer: 'open' | 'short' | 'resolved'; room: string }>`
    SELECT * FROM model_request_open(${JSON.stringify(row)}::jsonb)`.execute(db)
  const { answer, room } = only(rows)
  return answer === 'short' ? { kind: answer, available: money(room) } : { kind: answer }
}

export async function updateRequestEnd(db: Db, id: string, end: RequestEnd): Promise<CloseResult> {
  const { usage } = end
  const row = {
    cost: String(end.cost),
    cost_pico_usd: String(end.costPicoUsd),
    input: usage.input,
    output: usage.output,
    reasoning: usage.reasoning,
    cache_read: usage.cacheRead,
    cache_write: usage.cacheWrite,
    outcome: end.outcome,
    status: end.status,
    ttfb_ms: end.ttfbMs,
    duration_ms: end.durationMs
  }
  const { rows } = await sql<{ answer: 'closed' | 'already'; overrun: string | null }>`
    SELECT * FROM model_request_close(${id}, ${JSON.stringify(row)}::jsonb)`.execute(db)
  const { answer, overrun } = only(rows)
  return answer === 'closed'
    ? { kind: answer, overrun: overrun === null ? ZERO : money(overrun) }
    : { kind: answer }
}

/** Closes open requests at their floor cost. Returns the cost of all requests of the hold. */
export async function updateLostRequests(db: Db, holdId: string): Promise<Microcredits> {
  const { rows } = await sql<{ cost: string }>`
    SELECT model_request_settle(${holdId}) AS cost`.execute(db)
  return money(only(rows).cost)
}

/** Oldest first. */
export async function readRequests(db: Db, holdId: string): Promise<ModelRequest[]> {
  const rows = await db
    .selectFrom('model_requests')
    .selectAll()
    .where('hold_id', '=', holdId)
    .orderBy('created_at')
    .orderBy('id')
    .execute()
  return rows.map(toRequest)
}

function toRequest(row: Selectable<Schema['model_requests']>): ModelRequest {
  const count = (column: string | null) => Number(column ?? 0)
  return {
    id: row.id,
    holdId: row.hold_id,
    projectId: row.project_id,
    agentSessionId: row.agent_session_id,
    parentSessionId: row.parent_session_id,
    kind: row.kind,
    model: row.model,
    maxCost: money(row.max_cost),
    floorCost: money(row.floor_cost),
    state: row.state,
    cost: row.cost === null ? null : money(row.cost),
    costPicoUsd: BigInt(row.cost_pico_usd ?? 0),
    overrun: money(row.overrun ?? '0'),
    usage: {
      input: count(row.input),
      output: count(row.output),
      reasoning: count(row.reasoning),
      cacheRead: count(row.cache_read),
      cacheWrite: count(row.cache_write)
    },
    outcome: row.outcome as ModelRequest['outcome'],
    status: row.status,
    ttfbMs: row.ttfb_ms,
    durationMs: row.duration_ms,
    createdAt: row.created_at
  }
}

function only<Row>(rows: readonly Row[]): Row {
  const [row] = rows
  if (row === undefined) throw new Error('the meter function returned no row')
  return row
}
