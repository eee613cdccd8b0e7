import type { AgentEvent } from '#kernel/agent-events.ts'
import type { FrameType } from '#kernel/frames.ts'
import {
  EVENT_DECISIONS,
  PART_DECISIONS,
  STATUS_DECISIONS,
  type Decision
} from '../../supervisor/kilo/decisions.ts'

/** What each of our own events becomes: `src/jobs/run/handle-event.ts` in a table. */
export const EVENT_FRAMES: Record<AgentEvent['type'], readonly FrameType[]> = {
  'turn.opened': [],
  'text.appended': ['job:log'],
  'tool.updated': ['job:tool', 'job:file-created', 'job:file-updated', 'job:file-deleted'],
  'todo.updated': ['job:todo'],
  'permission.asked': ['job:permission'],
  'question.asked': ['job:question'],
  'prompt.closed': ['job:permission-resolved', 'job:question-resolved'],
  'usage.reported': [],
  notice: ['job:log'],
  'turn.finished': ['job:success', 'job:error'],
  unrecognised: []
}

const INTRODUCTION = `# What becomes of Kilo’s events

Generated from \`supervisor/kilo/decisions.ts\` by \`npm run documents\`; a test asks the running Kilo for its own list
and fails when a type has no line here. “Tells” names our own events (\`src/kernel/agent-events.ts\`), “remembers”
means that something later depends on it. \`x.*\` stands for every type that begins so, unless it has a line of its own.

A type that is not in these tables is kept by name, counted (\`kilowatt_unrecognised_agent_events_total\`), logged once, and
changes nothing for the job. So is one that is known and makes no sense. A message that cannot be read at all
is skipped, and what it may have said is asked for.`

const code = (word: string) => `\`${word}\``

function row(name: string, decision: Decision): string {
  if ('nothing' in decision) return `| ${code(name)} | nothing | ${decision.nothing} |`
  if ('remembers' in decision) return `| ${code(name)} | remembers | ${decision.remembers} |`
  return `| ${code(name)} | tells ${decision.tells.map(code).join(', ')} | ${decision.how} |`
}

function table(title: string, decisions: Record<string, Decision>): string {
  const rows = Object.entries(decisions).map(([name, decision]) => row(name, decision))
  return [`## ${title}`, '', `| ${title} | becomes | how, or why |`, '|---|---|---|', ...rows].join(
    '\n'
  )
}

function framesTable(): string {
  const rows = Object.entries(EVENT_FRAMES).map(([event, frames]) => {
    const names = frames.length === 0 ? 'no frame of its own' : frames.map(code).join(', ')
    return `| ${code(event)} | ${names} |`
  })
  return ['## From our events to frames', '', '| event | frames |', '|---|---|', ...rows].join('\n')
}

export const kiloEventsDocument = () => ({
  path: 'docs/kilo-events.md',
  text: [
    INTRODUCTION,
    table('Events', EVENT_DECISIONS),
    table('Parts of a message', PART_DECISIONS),
    table('Types of session.status', STATUS_DECISIONS),
    framesTable()
  ].join('\n\n')
})
