import { subscribe } from 'node:diagnostics_channel'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { KILO_VERSION, listRecordings, readRecording, RECORDINGS_DIR } from '#fixtures'
import { openFramesProduct } from '../record/frames-of.ts'
import type { StableFrame } from '../record/stable-frames.ts'

const PIECES = [1, 7, 4096]
/** Nothing has ended for so long: however slow the machine is, it does not go on. */
const SILENCE_MS_MAX = 5 * 60_000

/** In these the agent dies, or is stopped while the product speaks with it: how much was said before is chance. */
const END_ONLY = /^crash-|^stop-|^abort-while-offline$/

const comparable = (scene: string, frames: readonly StableFrame[]) =>
  END_ONLY.test(scene)
    ? frames.slice(-1).map(({ type, data }) => ({ type, code: data['code'] }))
    : frames

/** How often a chunk of so many bytes has come over the event streams of the product's agents. */
function countChunks(): ReadonlyMap<number, number> {
  const counts = new Map<number, number>()
  subscribe('undici:request:bodyChunkReceived', (message) => {
    const { request, chunk } = message as { request: { path: string }; chunk: Uint8Array }
    if (request.path !== '/global/event') return
    counts.set(chunk.length, (counts.get(chunk.length) ?? 0) + 1)
  })
  return counts
}

/** Every recording, however its stream is cut into pieces, is the same frames: those that lie beside it. */
t.test('every recording is its frames', { jobs: 3 }, async (all) => {
  const goOn = () => [t, all].forEach((test) => test.setTimeout(SILENCE_MS_MAX))
  goOn()
  const chunks = countChunks()
  await using product = await openFramesProduct()
  const framesOf = async (scene: string, bytes: number) => {
    const recording = await readRecording(scene)
    const folder = join(RECORDINGS_DIR, KILO_VERSION, scene)
    const frames = await product.framesOf(recording, folder, {
      faults: [{ kind: 'cut-every', bytes }]
    })
    goOn()
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
      all.test(scene, { buffered: true, timeout: 0 }, async (t) => {
        const expected = await expectedOf(scene)
        for (const bytes of PIECES) {
          const frames = await framesOf(scene, bytes)
          t.same(frames, expected, `in pieces of ${bytes} bytes`)
        }
      })
    )
  )

  const count = (is: (bytes: number) => boolean) =>
    [...chunks].reduce((sum, [bytes, times]) => (is(bytes) ? sum + times : sum), 0)
  const [ones, sevens, pages] = PIECES.map((size) => count((bytes) => bytes === size))
  all.ok(ones! > scenes.length * 10_000, `${ones} pieces of one byte`)
  all.ok(sevens! > (ones! / 7) * 0.9, `as many bytes in pieces of seven (${sevens})`)
  // What the replay says of itself, when a turn is stopped, belongs to no play and is not cut.
  const larger = count((bytes) => bytes > Math.max(...PIECES))
  all.ok(pages! > 10 * larger, `and ${pages} of the largest, where ${larger} were larger still`)
})
