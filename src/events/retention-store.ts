import { sql } from 'kysely'
import { inTransaction, type Db } from '#db'
import type { ProjectId } from '#kernel/ids.ts'

/** An arbitrary number: the key of the advisory lock. */
const SWEEPING = 7_241_001

/** Of the next `limit` projects by id, those whose oldest frame is older than `before`. */
export async function readProjectsWithOldFrames(
  db: Db,
  { before, after, limit }: { before: Date; after: string; limit: number }
): Promise<{ old: ProjectId[]; last: ProjectId | undefined }> {
  const { rows } = await sql<{ id: ProjectId; old: boolean }>`
    SELECT project.id, coalesce(oldest.created_at < ${before}, false) AS old
    FROM (SELECT id FROM projects WHERE id > ${after} ORDER BY id LIMIT ${limit}) AS project
    LEFT JOIN LATERAL (
      SELECT created_at FROM project_events
      WHERE project_id = project.id ORDER BY seq LIMIT 1) AS oldest ON true
    ORDER BY project.id`.execute(db)
  return { old: rows.filter(({ old }) => old).map(({ id }) => id), last: rows.at(-1)?.id }
}

/**
 * Deletes the oldest frames of a project that are older than `before`, at most `limit`, and returns their number. A job's
 * frames are deleted only when its end is older than `before`, and a project keeps its last frame: the rest is always
 * the end of the history, without gaps. Undefined: another process is removing frames.
 */
export function deleteOldFrames(
  db: Db,
  projectId: ProjectId,
  { before, limit }: { before: Date; limit: number }
): Promise<number | undefined> {
  return inTransaction(db, async (tx) => {
    const { rows } = await sql<{ ours: boolean }>`
      SELECT pg_try_advisory_xact_lock(${SWEEPING}) AS ours`.execute(tx)
    if (!rows[0]?.ours) return undefined

    const { numAffectedRows } = await sql`
      WITH oldest AS (
        SELECT seq, created_at, job_id FROM project_events
        WHERE project_id = ${projectId} ORDER BY seq LIMIT ${limit}
      ), kept AS (
        SELECT min(seq) AS seq FROM oldest
        WHERE created_at >= ${before}
          OR seq = (SELECT last_seq FROM projects WHERE id = ${projectId})
          OR (job_id IS NOT NULL AND NOT EXISTS (
            SELECT FROM project_events AS ending
            WHERE ending.job_id = oldest.job_id AND ending.type IN ('job:success', 'job:error')
              AND ending.created_at < ${before}))
      )
      DELETE FROM project_events USING kept
      WHERE project_id = ${projectId}
        AND project_events.seq <= (SELECT max(seq) FROM oldest)
        AND (kept.seq IS NULL OR project_events.seq < kept.seq)`.execute(tx)
    return Number(numAffectedRows ?? 0)
  })
}
