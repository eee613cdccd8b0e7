import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { KILO_VERSION, listRecordings, readRecording, RECORDINGS_DIR } from '#fixtures'
import { sampleOf } from '../helpers/property.ts'
import { openFramesProduct } from '../record/frames-of.ts'
import type { StableFrame } from '../record/stable-frames.ts'

/** How many recordings a usual run plays: a fresh sample each time. */
const SCENES = 24
/** How many recordings are played concurrently, each in a project of its own. */
const PROJECTS = 6

const SILENCE_MS_MAX = 5 * 60_000

/** In these the agent dies or is stopped while it sends: how many frames come before is chance, so only the end is compared. */
const END_ONLY = /^crash-|^stop-|^abort-while-|abort-mid(-text)?$/

const comparable = (scene: string, frames: readonly StableFrame[]) =>
  END_ONLY.test(scene)
    ? frames.slice(-1).map(({ type, data }) => ({ type, code: data['code'] }))
    : frames

/**
 * Every recording becomes the frames that are stored beside it. That the cuts between the pieces of a stream change
 * nothing is proven on the same recordings in test/fixtures/recordings.test.ts, where it costs seconds.
 */
t.test('every recording becomes its frames', { jobs: PROJECTS }, async (all) => {
  // The limit is on the time without any result: on a busy machine the whole may take longer.
  const renewTimeouts = () => [t, all].forEach((test) => test.setTimeout(SILENCE_MS_MAX))
  renewTimeouts()
  await using product = await openFramesProduct(PROJECTS)
  const scenes = sampleOf(await listRecordings(), SCENES)
  await Promise.all(
    scenes.map((scene) =>
      all.test(scene, { buffered: true, timeout: 0 }, async (t) => {
        const folder = join(RECORDINGS_DIR, KILO_VERSION, scene)
        const stored = JSON.parse(await readFile(join(folder, 'frames.json'), 'utf8'))
        const frames = await product.framesOf(await readRecording(scene), folder)
        renewTimeouts()
        t.same(comparable(scene, frames), comparable(scene, stored as StableFrame[]))
      })
    )
  )
})
