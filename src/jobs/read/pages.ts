import { AppError } from '#kernel/errors.ts'
import type { PageOf } from '../job-schemas.ts'

/** One page of rows that were read with one row too many: the extra one says that more follow. */
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

/** A cursor that is a place in the order of arrival. */
export function readPosition(cursor: string | undefined): string | undefined {
  if (cursor === undefined || /^\d{1,18}$/.test(cursor)) return cursor
  throw new AppError('invalid_request', 'cursor is not one that a list has given')
}
