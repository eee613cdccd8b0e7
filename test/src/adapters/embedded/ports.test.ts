import { systemClock } from '#kernel/clock.ts'
import { createEmbeddedBus } from '../../../../src/adapters/embedded/bus.ts'
import { createEmbeddedLock } from '../../../../src/adapters/embedded/lock.ts'
import { createEmbeddedQueue } from '../../../../src/adapters/embedded/queue.ts'
import { busContract } from '../../../contracts/bus.ts'
import { projectLockContract } from '../../../contracts/project-lock.ts'
import { queueContract } from '../../../contracts/queue.ts'
import { openTestDatabase } from '../../../helpers/database.ts'

busContract('embedded', async () => createEmbeddedBus())
queueContract('embedded', async () => createEmbeddedQueue(2))
projectLockContract('embedded', async (t) => {
  const db = await openTestDatabase(t)
  return { db, open: (times) => createEmbeddedLock(db, systemClock, times) }
})
