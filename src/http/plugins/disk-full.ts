import { AppError } from '#kernel/errors.ts'
import type { DiskSpace } from '#kernel/machine/disk-space.ts'
import type { App } from '../app-deps.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** `store`: refused with 507 on a full disk. `free`: makes room or ends work, and is tried. */
    onFullDisk?: 'store' | 'free'
  }
}

const READS = new Set(['GET', 'HEAD', 'OPTIONS'])

/** Refuses commands that write while the disk is full, before they have begun anything. Removing and cancelling is tried. */
export function refuseOnFullDisk(app: App, disk: Pick<DiskSpace, 'isFull'>): void {
  app.addHook('preHandler', async ({ method, routeOptions }) => {
    const mayWrite = !READS.has(method) && method !== 'DELETE'
    if (!mayWrite || routeOptions.config.onFullDisk === 'free') return
    if (await disk.isFull()) throw diskFull()
  })
}

export const diskFull = (cause?: unknown) =>
  new AppError(
    'disk_full',
    'The disk of the server is full: retry later',
    {},
    cause === undefined ? {} : { cause }
  )
