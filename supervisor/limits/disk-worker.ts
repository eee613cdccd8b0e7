import { parentPort } from 'node:worker_threads'
import { walkDisk, type DiskUsage, type WalkBounds } from './disk-walk.ts'

export interface ToWalker {
  readonly folders: readonly string[]
  readonly bounds: WalkBounds
}

export type FromWalker =
  | { readonly id: number; readonly usage: DiskUsage }
  | { readonly id: number; readonly error: string }

/** The thread that walks folders for `disk-meter.ts`. */
parentPort?.on('message', ({ id, folders, bounds }: ToWalker & { readonly id: number }) => {
  parentPort?.postMessage(answer(id, folders, bounds), [])
})

function answer(id: number, folders: readonly string[], bounds: WalkBounds): FromWalker {
  try {
    return { id, usage: walkDisk(folders, bounds) }
  } catch (error) {
    return { id, error: (error as Error).message }
  }
}
