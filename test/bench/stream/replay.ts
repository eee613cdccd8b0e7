import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Frame } from '#kernel/frames.ts'
import { burstPrompt } from './burst.ts'
import { median, ratio, sideBySide, timed } from '../measure.ts'
import { startFloor, startKilowatt, untilText, type Kilowatt } from './stage.ts'

const ROUNDS = Number(process.env['BENCH_STREAM_ROUNDS'] ?? 5)
const FRAMES = Number(process.env['BENCH_STREAM_REPLAY'] ?? 10_000)

/** A whole history to one client that comes with `after: 0`, beside a socket that sends the same texts from memory. */
export async function benchStreamReplay(print: (line: string) => void): Promise<void> {
  await using closing = new AsyncDisposableStack()
  const dir = await mkdtemp(join(tmpdir(), 'kilowatt-replay-'))
  closing.defer(() => rm(dir, { recursive: true, force: true }))
  const kilowatt = closing.use(await startKilowatt())
  const projectId = await kilowatt.project()
  const texts = await givenHistory(kilowatt, projectId)
  const file = join(dir, 'frames.jsonl')
  await writeFile(file, texts.join('\n'))
  const floor = closing.use(await startFloor(file))

  const all = async (socket: Awaited<ReturnType<typeof floor.socketTo>>, ask: string) => {
    let frames = 0
    const come = untilText(
      socket,
      () => frames === texts.length,
      (text) => void (frames += text.includes('"seq":') && text.includes('"jobId":') ? 1 : 0)
    )
    socket.send(ask)
    await come
  }
  const subscribe = JSON.stringify({ type: 'subscribe', projectId, after: 0 })
  const taken = await sideBySide(
    {
      kilowatt: async () => {
        const socket = await kilowatt.open()
        const ms = await timed(() => all(socket, subscribe))
        socket.close()
        return ms
      },
      floor: async () => {
        const socket = await floor.socketTo('/texts')
        const ms = await timed(() => all(socket, 'all'))
        socket.close()
        return ms
      }
    },
    ROUNDS
  )
  const line = (ms: number[]) =>
    `${median(ms).toFixed(0).padStart(6)} ms   ${((texts.length / median(ms)) * 1000).toFixed(0)} frames/s`
  const bytes = texts.reduce((sum, text) => sum + text.length, 0) / texts.length
  print(`replay of ${texts.length} frames (${bytes.toFixed(0)} bytes each) to one client`)
  print(`  kilowatt, after: 0          ${line(taken.kilowatt)}`)
  print(`  bare ws server, from memory ${line(taken.floor)}`)
  print(`  kilowatt / bare             ${ratio(taken.kilowatt, taken.floor).toFixed(1)} ×`)
}

/** A job that leaves so many frames behind, as they stand in the log. */
async function givenHistory({ client, watch }: Kilowatt, projectId: string): Promise<string[]> {
  const socket = await watch(projectId)
  const over = untilText(socket, (text) => text.includes('"type":"job:success"'))
  const text = burstPrompt({ tools: FRAMES / 2 })
  await client.post(`/projects/${projectId}/ai-command`, { text })
  await over
  socket.close()

  const frames: Frame[] = []
  for (;;) {
    const after = frames.at(-1)?.seq ?? 0
    const page = `/projects/${projectId}/events?after=${after}&limit=200`
    const { items } = await client.get<{ items: Frame[] }>(page)
    if (items.length === 0) return frames.map((frame) => JSON.stringify(frame))
    frames.push(...items)
  }
}
