import type { Config } from '#config'
import type { Clock } from '#kernel/clock.ts'
import type { Log } from '#kernel/log.ts'
import type { Backbone } from '#ports/backbone.ts'
import { openEmbedded } from '../adapters/embedded/open.ts'

/** Opens database, lock, queue and bus. This version has the embedded ones only, and refuses settings for others. */
export async function openBackbone(config: Config, clock: Clock, log: Log): Promise<Backbone> {
  const { databaseUrl, redisUrls, dataDir, agentsMax } = config
  const given = databaseUrl === undefined ? redisUrls.length > 0 && 'REDIS_URL' : 'DATABASE_URL'
  if (given) {
    throw new Error(`${given}: not supported by this version, which runs embedded only; unset it`)
  }
  return openEmbedded({ dataDir, queueWidth: agentsMax, clock, log })
}
