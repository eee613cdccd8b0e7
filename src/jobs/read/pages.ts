import { AppError } from '#kernel/errors.ts'
import type { PageOf } from '../job-schemas.ts'

/** One page of rows. The query reads one row more than `limit`, which shows that another page follows. */
export function pageOf<Row, Item>(
  rows: readonly Row[],
  limit: number,
  cursorOf: (row: Row) => string,
  itemOf: (row: Row) => Item
): PageOf<Item> {
  const items = rows.slice(0, limit)
  const last = items.at(-1)
  const more = rows.length > limit && last !== undefined
  return { items: items.map(itemOf), nextCursor: more ? cursorOf(last) : null }
}

/** A cursor that is a job's position in the order of arrival. */
export function readPosition(cursor: string | undefined): string | undefined {
  if (cursor === undefined || /^\d{1,18}$/.test(cursor)) return cursor
  throw new AppError('invalid_request', 'cursor must be the nextCursor of an earlier page')
}
