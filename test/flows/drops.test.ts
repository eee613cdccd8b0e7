import { randomInt } from 'node:crypto'
import t, { type Test } from 'tap'
import { replay } from '#fixtures'
import { isTerminalFrame, type Frame } from '#kernel/frames.ts'
import { openEventSource, openSocket } from '../helpers/lines.ts'
import { givenProject, type GivenProject } from '../helpers/product.ts'
import { DROPS, readWithDrops, type Drop, type OpenLine } from '../helpers/dropping-reader.ts'
import { readLog } from '../helpers/log.ts'
import { inTime, PATIENCE_MS, until } from '../helpers/patience.ts'
import { runsOf } from '../helpers/property.ts'
import { createRandom } from '../helpers/random.ts'
import { startServer } from '../helpers/server-process.ts'

const SEED = Number(process.env['DROPS_SEED'] ?? randomInt(2 ** 31))
const DROPS_MIN = runsOf({ usual: 200, deep: 1000 })
/** A tool is two frames. */
const TOOLS = runsOf({ usual: 600, deep: 2500 })
/** Who reads, and how it is dropped. */
interface Readers {
  readonly sockets: number
  readonly eventSources: number
  readonly stayMsMax: number
  readonly framesMax: number
  readonly dropsMax: number
}
const MANY: Readers = {
  ...{ sockets: 12, eventSources: 3 },
  ...{ stayMsMax: 300, framesMax: 100, dropsMax: 60 }
}
const FEW: Readers = { ...MANY, sockets: 5, eventSources: 2, dropsMax: 10 }
/** Frames of the past arrive immediately: these readers leave sooner, and after more frames. */
const LATE: Readers = { ...FEW, stayMsMax: 20, framesMax: 250, dropsMax: 35 }

/** A burst that the replaying Kilo plays: tools in the main, each two frames, and a text between them now and then. */
const burst = (perSecond: number) =>
  replay('burst', { tools: TOOLS, texts: 200, piecesPerText: 4, perSecond })

t.test('readers that are dropped at random moments, and a server that is restarted', async (t) => {
  t.comment(`seed ${SEED}: DROPS_SEED=${SEED} drops them at the same moments`)
  await using server = await startServer()
  const client = await server.user()

  const drops = Object.fromEntries(DROPS.map((drop) => [drop, 0])) as Record<Drop, number>
  const dropped = () => DROPS.reduce((sum, drop) => sum + drops[drop], 0)
  let readers = 0

  /** Readers of a project that are dropped until the last frame of this job; answers what each was given. */
  const read = (
    project: GivenProject,
    isLast: (frame: Frame) => boolean,
    { sockets, eventSources, ...limits }: Readers
  ) => {
    const one = (open: OpenLine) =>
      readWithDrops({
        ...{ open, isLast, ...limits, random: createRandom(SEED + readers++) },
        onDrop: (drop) => void drops[drop]++
      })
    const where = { url: server.url, key: client.key, projectId: project.id }
    return Promise.all([
      ...Array.from({ length: sockets }, () => one(openSocket(where))),
      ...Array.from({ length: eventSources }, () => one(openEventSource(where)))
    ])
  }
  const endOf = (jobId: () => string) => (frame: Frame) =>
    frame.jobId === jobId() && isTerminalFrame(frame)
  /** A job in a project of its own, read while it runs. */
  const readJob = async (
    perSecond: number,
    some: Readers,
    whileItRuns = async (_project: GivenProject) => {}
  ) => {
    const project = await givenProject(client)
    let jobId = ''
    const reading = read(
      project,
      endOf(() => jobId),
      some
    )
    // Whatever goes wrong below ends the test, not the readers' patience.
    reading.catch(() => {})
    jobId = await project.submit(burst(perSecond))
    await whileItRuns(project)
    return { project, jobId, given: await inTime(reading, 'the readers', 2 * PATIENCE_MS) }
  }

  /** Every reader has the log, all of it, in its order, and nothing twice. */
  const sameAsLog = async (t: Test, project: GivenProject, given: readonly Frame[][]) => {
    const log = await readLog(project)
    t.same(
      log.map(({ seq }) => seq),
      log.map((_, index) => index + 1),
      'the log itself leaves nothing out'
    )
    const whole = log.map((frame) => JSON.stringify(frame))
    for (const [index, frames] of given.entries()) {
      const texts = frames.map((frame) => JSON.stringify(frame))
      const differs = texts.findIndex((text, at) => text !== whole[at])
      if (differs < 0 && texts.length === whole.length) continue
      const around = frames.slice(Math.max(0, differs - 2), differs + 3).map(({ seq }) => seq)
      t.fail(
        `reader ${index} has ${texts.length} of ${whole.length}; at ${differs}: ${around.join()}`
      )
    }
    return log
  }

  await t.test('while a job of thousands of frames runs', async (t) => {
    const { project, jobId, given } = await readJob(250, MANY)
    const log = await sameAsLog(t, project, given)
    t.equal(log.at(-1)?.type, 'job:success')
    t.ok(log.length >= 2 * TOOLS, `${log.length} frames`)
    t.comment(`${dropped()} drops of ${given.length} readers`, drops)
    t.ok(dropped() > DROPS_MIN / 4, 'many of them while it ran')

    await t.test(
      'and after it, while the server is restarted, by SIGTERM and by SIGKILL',
      async (t) => {
        for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
          const reading = read(
            project,
            endOf(() => jobId),
            LATE
          )
          await server.restart(signal)
          await sameAsLog(t, project, await reading)
        }
        while (dropped() < DROPS_MIN) {
          await sameAsLog(
            t,
            project,
            await read(
              project,
              endOf(() => jobId),
              LATE
            )
          )
        }
      }
    )
  })

  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    await t.test(`a job that ${signal} interrupts`, async (t) => {
      const { project, given } = await readJob(200, FEW, async (project) => {
        await grown(project, 500)
        await server.restart(signal)
      })
      const log = await sameAsLog(t, project, given)
      t.match(log.at(-1), { type: 'job:error', data: { code: 'interrupted' } })
    })
  }

  t.comment(`${dropped()} drops`, drops)
  for (const drop of DROPS) t.ok(drops[drop] > 0, `${drop}: ${drops[drop]}`)
})

/** Waits until the log has this many frames. */
async function grown({ id, client }: GivenProject, frames: number): Promise<void> {
  const page = `/projects/${id}/events?after=${frames - 1}&limit=1`
  await until(`${frames} frames`, async () => {
    const { body } = await client.call<{ items: Frame[] }>('GET', page)
    return body.items.length > 0
  })
}
