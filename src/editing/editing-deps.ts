import type { Db } from '#db'
import type { EventLog } from '#events'
import type { Log } from '#kernel/log.ts'
import type { Workspaces } from '#workspaces'
import type { Quota } from './quota.ts'

export interface EditingDeps {
  readonly db: Db
  readonly events: EventLog
  readonly workspaces: Workspaces
  /** Undefined: projects have no limits. */
  readonly quota?: Quota | undefined
  readonly log: Log
}
