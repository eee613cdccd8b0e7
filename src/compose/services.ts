import { createAccounts, type Accounts } from '#accounts'
import {
  createLedger,
  createRequestMeter,
  readPriceList,
  type Ledger,
  type PriceList,
  type RequestMeter
} from '#billing'
import type { Config } from '#config'
import { createEventLog, createFeed, createRecentFrames, type EventLog, type Feed } from '#events'
import type { JobSettings } from '#jobs'
import { systemClock, type Clock } from '#kernel/clock.ts'
import { LIMITS } from '#kernel/limits.ts'
import type { DiskSpace } from '#kernel/machine/disk-space.ts'
import type { Backbone } from '#ports/backbone.ts'
import type { Logger } from 'pino'
import type { Metrics } from './metrics.ts'

/** What both sides of the product use. It has no state of its own but for the backbone's. */
export interface Services extends Pick<Backbone, 'db' | 'bus' | 'queue' | 'lock'> {
  readonly accounts: Accounts
  readonly ledger: Ledger
  readonly prices: PriceList
  readonly requests: RequestMeter
  readonly events: EventLog
  readonly feed: Feed
  readonly settings: JobSettings
  readonly metrics: Metrics
  readonly disk: DiskSpace
  readonly clock: Clock
  readonly log: Logger
}

export async function createServices(
  config: Config,
  { db, bus, queue, lock }: Backbone,
  given: {
    readonly metrics: Metrics
    readonly disk: DiskSpace
    readonly log: Logger
    readonly jobs?: Partial<JobSettings>
  }
): Promise<Services> {
  const recent = createRecentFrames()
  return {
    db,
    bus,
    queue,
    lock,
    accounts: createAccounts(),
    ledger: createLedger(),
    prices: await readPriceList(config.priceList),
    requests: createRequestMeter(),
    events: createEventLog(db, bus, recent),
    feed: createFeed(db, bus, recent),
    settings: {
      defaultModel: config.model,
      reserveCredits: config.reserveCredits,
      goodwillPerDay: config.goodwillPerDay,
      goodwillJobsPerHour: LIMITS.goodwillJobsPerHour,
      jobTimeoutMs: config.jobTimeoutSeconds * 1000,
      modelRetryWaitMaxMs: config.modelRetryWaitMaxSeconds * 1000,
      promptAnswerMs: LIMITS.promptAnswerMs,
      providers: config.providers.map(({ id }) => id),
      ...given.jobs
    },
    metrics: given.metrics,
    disk: given.disk,
    clock: systemClock,
    log: given.log
  }
}

/** A folder of each place that is written to. */
export const foldersOf = ({ dataDir, projectsDir }: Config) => [dataDir, projectsDir]
