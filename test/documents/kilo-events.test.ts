import { sql } from 'kysely'
import t from 'tap'
import { createMeter, readPriceList } from '#billing'
import type { Agent } from '#supervisor'
import { NO_USAGE, type AgentEvent } from '#kernel/agent-events.ts'
import { systemClock as clock } from '#kernel/clock.ts'
import { TERMINAL_FRAMES, type FrameType } from '#kernel/frames.ts'
import { silentLog as log } from '#kernel/log.ts'
import { noMetrics } from '#jobs'
import type { Change } from '../../src/jobs/run/file-frames.ts'
import { createFileWatch } from '../../src/jobs/run/file-watch.ts'
import { handleEvent } from '../../src/jobs/run/handle-event.ts'
import type { JobRun } from '../../src/jobs/run/run-context.ts'
import { openTestDatabase } from '../helpers/database.ts'
import { EVENT_FRAMES } from './kilo-events.ts'

const MODEL = 'anthropic/claude-sonnet-5-5'
const tool = { callId: 'call_1', tool: 'write', title: 'a.txt', mayWrite: true } as const
const permission = { permissionId: 'per_1', kind: 'bash', patterns: ['ls'], title: 'ls' }

/** Of each kind as many as it takes to see every frame that it becomes. */
const SAMPLES: { [T in AgentEvent['type']]: readonly Extract<AgentEvent, { type: T }>[] } = {
  'turn.opened': [{ type: 'turn.opened' }],
  'text.appended': [{ type: 'text.appended', source: 'assistant', partId: 'prt_1', text: 'Hi' }],
  'tool.updated': (['running', 'completed', 'completed', 'error'] as const).map((status) => ({
    type: 'tool.updated',
    ...tool,
    status
  })),
  'todo.updated': [{ type: 'todo.updated', items: [] }],
  'permission.asked': [{ type: 'permission.asked', ...permission }],
  'question.asked': [{ type: 'question.asked', questionId: 'que_1', questions: [] }],
  'prompt.closed': [
    { type: 'prompt.closed', promptId: 'per_1' },
    { type: 'prompt.closed', promptId: 'que_1' }
  ],
  'usage.reported': [
    {
      type: 'usage.reported',
      stepId: 'prt_2',
      agentSessionId: 'ses_1',
      model: MODEL,
      usage: NO_USAGE,
      costUsd: 0
    }
  ],
  notice: [{ type: 'notice', text: 'Trying again.' }],
  'turn.finished': [{ type: 'turn.finished', outcome: { kind: 'completed' } }],
  unrecognised: [{ type: 'unrecognised', name: 'weather' }]
}

/** The changes of the worktree at each poll. */
const POLLS = (['added', 'modified', 'deleted'] as const).map((status): Change[] => [
  { path: `${status}.txt`, status, sha: null }
])

t.test('each event becomes the frames of the table', async (t) => {
  const { run, written } = await givenRun()
  const { read, toolSeen } = createFileWatch(run)
  const polling: Promise<unknown>[] = []
  const files = { read, schedule: () => void polling.push(read()), toolSeen }
  const noAgent = {} as Agent

  for (const [type, samples] of Object.entries(SAMPLES)) {
    written.length = 0
    for (const event of samples) {
      const outcome = await handleEvent(run, noAgent, files, event)
      // The end of a job is written when its money is settled.
      if (outcome) written.push(...TERMINAL_FRAMES)
      await Promise.all(polling)
    }
    const expected = EVENT_FRAMES[type as AgentEvent['type']]
    t.same([...new Set(written)].toSorted(), expected.toSorted(), type)
  }

  /** A job as far as its events go: its frames are noted, and its prompts are rows of a job that is not there. */
  async function givenRun() {
    const db = await openTestDatabase(t)
    await sql`SET session_replication_role = replica`.execute(db)
    const written: FrameType[] = []
    const looks = [...POLLS]
    const run = {
      deps: { db, clock, log, metrics: noMetrics, settings: { promptAnswerMs: 60_000 } },
      job: { id: 'job_1', session_id: 'ses_1' },
      base: 'c0ffee',
      workspace: { changes: async () => looks.shift() ?? [], read: async () => ({ sha: 'b10b' }) },
      writer: { write: ({ type }: { type: FrameType }) => written.push(type) },
      meter: createMeter(await readPriceList()),
      reportedSteps: [],
      steps: 0
    } as unknown as JobRun
    return { run, written }
  }
})
