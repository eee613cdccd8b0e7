import type { ColumnType } from 'kysely'

/** bigint columns travel as decimal text, in both databases. */
export type Big = ColumnType<string, string | bigint, string | bigint>
export type Time = ColumnType<Date, Date | string, Date | string>
