import { sql, type Selectable } from 'kysely'
import type { Db, Schema } from '#db'
import { PROTOCOL_VERSION, type Draft, type Frame } from '#kernel/frames.ts'
import { eventId, type JobId, type ProjectId } from '#kernel/ids.ts'

export interface Place {
  readonly projectId: ProjectId
  readonly jobId: JobId | null
  /** The writer's fencing token: nothing is written once a later lease has been given out. */
  readonly token?: bigint | undefined
}

const unfenced = sql<boolean>`true`
const fencedBy = (projectId: ProjectId, token: bigint) => sql<boolean>`EXISTS (
  SELECT FROM project_leases WHERE project_id = ${projectId} AND token = ${String(token)})`

/**
 * Gives the drafts the next places in their project's history, all or none, in one statement. False when the
 * fence refused (or there is no such project): then nothing was written.
 */
export async function insertFrames(
  db: Db,
  { projectId, jobId, token }: Place,
  drafts: readonly Draft[]
): Promise<boolean> {
  const ids = drafts.map(() => eventId.create())
  const types = drafts.map(({ type }) => type)
  const data = drafts.map((draft) => JSON.stringify(draft.data))

  const { numAffectedRows } = await sql`
    WITH place AS (
      UPDATE projects SET last_seq = last_seq + ${drafts.length}::int
      WHERE id = ${projectId} AND ${token === undefined ? unfenced : fencedBy(projectId, token)}
      RETURNING last_seq - ${drafts.length}::int AS before
    )
    INSERT INTO project_events (project_id, seq, id, job_id, type, data)
    SELECT ${projectId}, place.before + draft.n, draft.id, ${jobId}, draft.type, draft.data::json
    FROM place, unnest(${ids}::text[], ${types}::text[], ${data}::text[])
      WITH ORDINALITY AS draft (id, type, data, n)`.execute(db)
  return numAffectedRows === BigInt(drafts.length)
}

export interface PageOfFrames {
  readonly after: number
  readonly limit: number
  readonly types?: readonly string[] | undefined
  readonly jobId?: JobId | undefined
}

const selectAfter = (
  db: Db,
  projectId: ProjectId,
  { after, limit, types, jobId }: PageOfFrames
) => {
  let query = db
    .selectFrom('project_events')
    .select(['seq', 'id', 'job_id', 'type', 'data', 'created_at'])
    .where('project_id', '=', projectId)
    .where('seq', '>', String(after))
    .orderBy('seq')
    .limit(limit)
  if (types) query = query.where('type', 'in', types)
  if (jobId) query = query.where('job_id', '=', jobId)
  return query
}

/** The frames after a place, oldest first. */
export async function readFramesAfter(
  db: Db,
  projectId: ProjectId,
  page: PageOfFrames
): Promise<Frame[]> {
  const rows = await selectAfter(db, projectId, page).execute()
  return rows.map((row) => frameOf(projectId, row))
}

/**
 * The same, but no frame more once the page holds so many bytes: a page of large frames is short. `more` says
 * that the page was full, and that the next one may hold something.
 */
export async function readBatchAfter(
  db: Db,
  projectId: ProjectId,
  page: PageOfFrames & { readonly bytesMax: number }
): Promise<{ frames: Frame[]; more: boolean }> {
  const rows = await db
    .selectFrom((from) =>
      from
        .selectFrom(selectAfter(db, projectId, page).as('next'))
        .selectAll()
        .select(sql<string>`sum(octet_length(data::text)) OVER (ORDER BY seq)`.as('upto'))
        .select(sql<number>`octet_length(data::text)`.as('own'))
        .as('page')
    )
    .selectAll()
    .where((where) => where(sql`upto - own`, '<', page.bytesMax))
    .orderBy('seq')
    .execute()
  const more = rows.length === page.limit || Number(rows.at(-1)?.upto ?? 0) >= page.bytesMax
  return { frames: rows.map((row) => frameOf(projectId, row)), more }
}

type Row = Pick<
  Selectable<Schema['project_events']>,
  'seq' | 'id' | 'job_id' | 'type' | 'data' | 'created_at'
>

const frameOf = (projectId: ProjectId, row: Row): Frame => ({
  v: PROTOCOL_VERSION,
  type: row.type,
  id: row.id,
  projectId,
  jobId: row.job_id,
  seq: Number(row.seq),
  ts: row.created_at.toISOString(),
  data: row.data
})

/** The last place given out, and the oldest that is still there (last + 1 when none is). */
export async function readReach(db: Db, projectId: ProjectId) {
  const row = await db
    .selectFrom('projects')
    .select((from) => [
      'last_seq',
      from
        .selectFrom('project_events')
        .select((of) => of.fn.min('seq').as('oldest'))
        .where('project_id', '=', projectId)
        .as('oldest')
    ])
    .where('id', '=', projectId)
    .executeTakeFirst()

  const lastSeq = Number(row?.last_seq ?? 0)
  return { lastSeq, oldestSeq: row?.oldest ? Number(row.oldest) : lastSeq + 1 }
}
