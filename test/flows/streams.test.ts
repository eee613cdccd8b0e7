import { join } from 'node:path'
import t, { type Test } from 'tap'
import { script, type Step } from '#fixtures'
import type { AgentTimes } from '#supervisor'
import { sampleOf } from '../helpers/property.ts'
import { FAULTY_KILO, faultyKilo, type Fault, type FaultyKilo } from '../helpers/faulty-kilo.ts'
import {
  givenProject,
  seen,
  startProduct,
  type Client,
  type GivenProject,
  type Story,
  type TestProduct
} from '../helpers/product.ts'

interface Message {
  info: { role: string }
  parts: { id: string; type: string; text?: string }[]
}

const WORDS = 'Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich. '
const todos = [
  { content: 'before', status: 'completed', priority: 'high' },
  { content: 'after', status: 'in_progress', priority: 'low' }
]
const list = { tool: 'todowrite', input: { todos } }
const bash = (command: string): Step => ({
  tool: 'bash',
  input: { command, description: 'a command' }
})

/** A text that Kilo is sending when the stream breaks; then tools, a list and a question; then another text. */
const promptFor = (name: string, pieces: number) =>
  script(
    {
      think: 'Let me think about it. ',
      say: WORDS.repeat(3),
      chunks: pieces,
      chunkMs: 50,
      tool: 'write',
      input: { filePath: `{{worktree}}/${name}.txt`, content: name }
    },
    list,
    bash(`echo more > ${name}.log`),
    { say: WORDS.repeat(2), chunks: 20, chunkMs: 20 }
  )

// Scenes wait for timeouts most of the time, so they run concurrently.
t.jobs = 3

const CUT_SHORT: [string, Fault, number][] = [
  ['cut for five seconds, within a text', { stream: 'cut', forMs: 5000 }, 150],
  ['cut for five seconds, over everything', { stream: 'cut', forMs: 5000 }, 20],
  ['ended cleanly for two seconds', { stream: 'end', forMs: 2000 }, 20],
  ['stalled for longer than is waited', { stream: 'stall', forMs: 5000 }, 20],
  ['half open', { stream: 'half-open' }, 20],
  // Long enough to lose the end of a part: pieces alone have no number by which they are missed.
  ['losing messages for a while though it lives', { stream: 'drop', forMs: 5000 }, 20],
  ['of heartbeats only', { stream: 'hollow' }, 20],
  ['with garbage in it', { stream: 'garbage' }, 20],
  [
    'cut, when Kilo’s database is busy as well',
    { stream: 'cut', forMs: 500, refuse: { path: '^/sync/history', status: 503, times: 2 } },
    20
  ],
  [
    'cut, when Kilo does not answer at first which permissions it asks',
    { stream: 'cut', forMs: 500, refuse: { path: '^/permission$', status: 503, times: 1 } },
    20
  ],
  [
    'cut, when Kilo does not answer at first with its to-do list',
    { stream: 'cut', forMs: 500, refuse: { path: '/todo$', status: 503, times: 1 } },
    20
  ]
]

const SHORT_TEXT = { say: WORDS.repeat(3), chunks: 20, chunkMs: 50 }
const MISSED_ENDS: [says: string, Fault, Step[], ending: string][] = [
  ['by polling, while the stream lives', { stream: 'hollow' }, [SHORT_TEXT], 'job:success'],
  ['after a cut', { stream: 'cut', forMs: 3000 }, [SHORT_TEXT], 'job:success'],
  [
    'of a model that failed',
    { stream: 'cut', forMs: 3000 },
    [{ ...SHORT_TEXT, ...list }, { fail: 400 }],
    'job:error'
  ]
]

/**
 * One product, and an agent for each lane: the scenes of a lane run one after another, because a broken stream hurts
 * every job of its agent, and the lanes run concurrently, because nearly all of a scene is waiting.
 */
const LANES = 2
/** How many ways to break the stream a usual run tries: a fresh sample each time. */
const SCENES = 3

t.test(
  'every part that Kilo sends arrives once and complete, however its stream breaks',
  { jobs: LANES },
  async (t) => {
    const lane = await lanesOf(t)
    const scene = (says: string, play: (t: Test, stage: Stage) => Promise<void>) =>
      t.test(says, { buffered: true, timeout: 0 }, (t) => lane((stage) => play(t, stage)))

    const scenes = sampleOf(CUT_SHORT, SCENES).map(([says, fault, pieces], at) =>
      scene(`a stream ${says}`, (t, stage) => playStory(t, stage, `case-${at}`, fault, pieces))
    )
    for (const [says, fault, steps, ending] of MISSED_ENDS) {
      scenes.push(
        scene(`finds an end that the stream did not deliver: ${says}`, (t, stage) =>
          playMissedEnd(t, stage, `${says}: ${script(bash('true'), ...steps)}`, fault, ending)
        )
      )
    }
    scenes.push(
      scene('closes a permission that was answered while the stream was cut', playMissedAnswer),
      scene("reports the files that a sub-agent's commands write", (t, stage) =>
        playSubAgent(t, stage, 'sub-received.txt', {})
      ),
      scene(
        'does so also when the stream delivered neither its start nor its permission',
        (t, stage) => playSubAgent(t, stage, 'sub-missed.txt', { stream: 'cut', forMs: 3000 })
      )
    )
    await Promise.all(scenes)
  }
)

async function playStory(t: Test, stage: Stage, name: string, fault: Fault, pieces: number) {
  const { client, project, kilo } = stage
  const prompt = promptFor(name, pieces)
  const jobId = await project.submit(prompt)
  await seen(client, jobId, 'job:log')
  await (await kilo()).break(fault)

  const { permissionId, kind } = await seen(client, jobId, 'job:permission')
  t.equal(kind, 'bash')
  await client.call('POST', `/jobs/${jobId}/permissions/${permissionId}`, { reply: 'once' })
  const story = await project.story(jobId)

  t.equal(story.last.type, 'job:success', JSON.stringify(story.last.data))
  t.equal(story.all('job:permission').length, 1, 'one permission request')
  t.match(story.only('job:todo'), { items: todos })
  t.same(
    story.all('job:tool').flatMap(({ tool, status }) => (status === 'running' ? [] : [tool])),
    ['write', 'todowrite', 'bash']
  )
  t.same(
    story
      .all('job:file-created')
      .map(({ path }) => path)
      .toSorted(),
    [`${name}.log`, `${name}.txt`]
  )
  await sameAsKilo(t, story, prompt, await kilo())
}

async function playMissedEnd(t: Test, stage: Stage, prompt: string, fault: Fault, ending: string) {
  const { client, project, kilo } = stage
  const jobId = await project.submit(prompt)
  const { permissionId } = await seen(client, jobId, 'job:permission')
  await client.call('POST', `/jobs/${jobId}/permissions/${permissionId}`, { reply: 'once' })
  await seen(client, jobId, 'job:log')
  await (await kilo()).break(fault)
  const story = await project.story(jobId)
  t.equal(story.last.type, ending, JSON.stringify(story.last.data))
  if (ending === 'job:error') t.match(story.last.data, { code: 'model_error' })
  await sameAsKilo(t, story, prompt, await kilo())
}

async function playMissedAnswer(t: Test, { client, project, kilo }: Stage) {
  const jobId = await project.submit(script(bash('echo a > a.txt'), { say: 'Done.' }))
  const { permissionId } = await seen(client, jobId, 'job:permission')
  const real = await kilo()
  await real.break({ stream: 'cut', forMs: 1500 })
  await real.post(`/permission/${permissionId}/reply`, { reply: 'once' })
  const story = await project.story(jobId)
  t.equal(story.last.type, 'job:success')
  t.match(story.only('job:permission-resolved'), { permissionId, by: 'policy' })
}

async function playSubAgent(t: Test, { client, project, kilo }: Stage, file: string, fault: Fault) {
  const task = (...steps: Step[]): Step => ({
    tool: 'task',
    input: { description: 'help', prompt: script(...steps), subagent_type: 'general' }
  })
  const inner = task(bash(`echo sub > ${file}`), { say: 'The child is done.' })
  const steps = script({ say: WORDS, chunks: 10, chunkMs: 50, ...inner }, { say: 'All done.' })
  const jobId = await project.submit(steps)
  await seen(client, jobId, 'job:running')
  await (await kilo()).break(fault)
  const { permissionId } = await seen(client, jobId, 'job:permission')
  await client.call('POST', `/jobs/${jobId}/permissions/${permissionId}`, { reply: 'once' })
  const story = await project.story(jobId)
  t.equal(story.last.type, 'job:success', JSON.stringify(story.last.data))
  t.same(
    story.all('job:file-created').map(({ path }) => path),
    [file]
  )
  t.equal(story.all('job:permission').length, 1)
  await sameAsKilo(t, story, steps, await kilo())
}

t.test('finds a turn whose start the stream did not deliver', { buffered: true }, async (t) => {
  // Only the timeout on the start of a turn expires in time.
  const product = await start(t, { turnOpenMs: 500, turnSilenceMs: 60_000 })
  const { project, kilo } = await givenStage(product)
  await (await kilo()).break({ stream: 'cut', forMs: 4000 })
  const prompt = `A beginning: ${script({ say: WORDS })}`
  const story = await project.run(prompt)
  t.equal(story.last.type, 'job:success', JSON.stringify(story.last.data))
  await sameAsKilo(t, story, prompt, await kilo())
})

interface Stage {
  readonly client: Client
  readonly project: GivenProject
  /** The running Kilo of this project. */
  kilo(): Promise<FaultyKilo>
}

/** The whole product in front of a Kilo whose stream can be broken, with timeouts so short that a gap is found soon. */
function start(t: Test, times: Partial<AgentTimes> = { turnSilenceMs: 1500 }) {
  return startProduct(t, {
    env: { KILO_BIN: FAULTY_KILO, ISOLATION: 'process' },
    tuning: { agents: { times: { streamSilenceMs: 3000, ...times } } }
  })
}

async function givenStage({ user, dataDir }: TestProduct): Promise<Stage> {
  const client = await user()
  const project = await givenProject(client)
  // The first job starts Kilo; later ones use it.
  await project.run(script({ say: 'Hello.' }))
  return { client, project, kilo: () => faultyKilo(join(dataDir, 'agents', project.id, 'own')) }
}

/** Gives each scene a stage that no other scene uses meanwhile. */
async function lanesOf(t: Test) {
  const product = await start(t)
  const free = await Promise.all(Array.from({ length: LANES }, () => givenStage(product)))
  return async (play: (stage: Stage) => Promise<void>) => {
    const stage = free.pop()!
    try {
      await play(stage)
    } finally {
      free.push(stage)
    }
  }
}

/** Every text of the job that had this prompt is Kilo's own, part by part, in its order. */
async function sameAsKilo(t: Test, story: Story, prompt: string, kilo: FaultyKilo) {
  const texts = new Map<string, string>()
  for (const { source, partId, text } of story.all('job:log')) {
    if (source !== 'system') texts.set(partId, (texts.get(partId) ?? '') + text)
  }
  const sessions = await kilo.get<{ id: string; parentID?: string }[]>('/session')
  const conversations = await Promise.all(
    sessions
      .filter(({ parentID }) => parentID === undefined)
      .map(({ id }) => kilo.get<Message[]>(`/session/${id}/message`))
  )
  const own = conversations.filter((messages) => messages[0]?.parts[0]?.text === prompt)
  t.equal(own.length, 1, 'a conversation of its own')
  const parts = own
    .flat()
    .filter(({ info }) => info.role === 'assistant')
    .flatMap(({ parts }) => parts)
    .filter(({ type, text }) => (type === 'text' || type === 'reasoning') && text !== '')
  t.ok(parts.length > 0)
  t.same(
    [...texts],
    parts.map(({ id, text }) => [id, text])
  )
}
