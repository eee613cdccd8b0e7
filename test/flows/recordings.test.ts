import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { KILO_VERSION, listRecordings, readRecording, RECORDINGS_DIR } from '#fixtures'
import { openFramesProduct } from '../record/frames-of.ts'
import type { StableFrame } from '../record/stable-frames.ts'

const PIECES = [1, 7, 4096]

/** In these the agent dies, or is stopped while the product speaks with it: how much was said before is chance. */
const END_ONLY = /^crash-|^stop-|^abort-while-offline$/

const comparable = (scene: string, frames: readonly StableFrame[]) =>
  END_ONLY.test(scene)
    ? frames.slice(-1).map(({ type, data }) => ({ type, code: data['code'] }))
    : frames

/** Every recording, however its stream is cut into pieces, is the same frames: those that lie beside it. */
t.test('every recording is its frames', { timeout: 600_000, jobs: 3 }, async (t) => {
  await using product = await openFramesProduct()
  const framesOf = async (scene: string, bytes: number) => {
    const recording = await readRecording(scene)
    const folder = join(RECORDINGS_DIR, KILO_VERSION, scene)
    const frames = await product.framesOf(recording, folder, {
      faults: [{ kind: 'cut-every', bytes }]
    })
    return comparable(scene, frames)
  }
  const expectedOf = async (scene: string) => {
    const path = join(RECORDINGS_DIR, KILO_VERSION, scene, 'frames.json')
    const text = await readFile(path, 'utf8')
    const frames = JSON.parse(text) as StableFrame[]
    return comparable(scene, frames)
  }

  const scenes = await listRecordings()
  await Promise.all(
    scenes.map((scene) =>
      t.test(scene, { buffered: true }, async (t) => {
        const expected = await expectedOf(scene)
        for (const bytes of PIECES) {
          const frames = await framesOf(scene, bytes)
          t.same(frames, expected, `in pieces of ${bytes} bytes`)
        }
      })
    )
  )
})
