import { AppError } from './errors.ts'

/** The part of a list that a client asks for: what follows the cursor, at most `limit` items. */
export interface Page {
  readonly cursor?: string | undefined
  readonly limit: number
}

export interface PageOf<T> {
  readonly items: T[]
  /** The cursor of the next page; null on the last one. */
  readonly nextCursor: string | null
}

/** One page of rows. The query reads one row more than `limit`, which shows that another page follows. */
export function pageOf<Row>(
  rows: readonly Row[],
  limit: number,
  cursorOf: (row: Row) => string
): PageOf<Row> {
  const items = rows.slice(0, limit)
  const last = items.at(-1)
  return { items, nextCursor: rows.length > limit && last !== undefined ? cursorOf(last) : null }
}

/** Rejects a cursor that is not of this form. */
export function checkCursor(
  cursor: string | undefined,
  isValid: (cursor: string) => boolean
): string | undefined {
  if (cursor === undefined || isValid(cursor)) return cursor
  throw new AppError('invalid_request', 'Invalid cursor: use the nextCursor of a previous page')
}

/** A cursor that is a position in the order of arrival: a number of the database. */
export const checkPosition = (cursor: string | undefined) =>
  checkCursor(cursor, (text) => /^\d{1,18}$/.test(text))
