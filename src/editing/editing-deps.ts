import type { Db } from '#db'
import type { EventLog } from '#events'
import type { Log } from '#kernel/log.ts'
import type { Workspaces } from '#workspaces'

export interface EditingDeps {
  readonly db: Db
  readonly events: EventLog
  readonly workspaces: Workspaces
  readonly log: Log
}
