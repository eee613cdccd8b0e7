import type { AppDeps } from './app-deps.ts'
import type { Authentication } from './plugins/auth.ts'
import type { Connections } from './stream/live-connections.ts'

/** What routes need besides what the product gives to the HTTP server. */
export interface RouteDeps extends AppDeps {
  readonly authentication: Authentication
  readonly connections: Connections
}
