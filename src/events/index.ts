export { createEventLog, type EventLog } from './event-log.ts'
export { createFeed, type Feed } from './feed.ts'
export { createRetention, type Retention } from './retention.ts'
export type { FrameQuery, FrameScope } from './event-store.ts'
