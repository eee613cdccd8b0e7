import type { AgentEvent } from '#kernel/agent-events.ts'
import type { FrameType } from '#kernel/frames.ts'
import {
  EVENT_DECISIONS,
  PART_DECISIONS,
  STATUS_DECISIONS,
  type Decision
} from '../../supervisor/kilo/decisions.ts'

/** What each of our own events becomes: `src/jobs/run/handle-event.ts` as a table. */
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
and fails when a type has no line here. “Emits” names our own events (\`src/kernel/agent-events.ts\`), “records”
means that later events depend on it, “ignored” means that it changes nothing. \`x.*\` covers every type with that
prefix that has no line of its own.

A type that is not in these tables is counted by name (\`kilowatt_unrecognised_agent_events_total\`), logged once, and
changes nothing for the job. The same holds for a known type whose properties do not match its schema. A message that is
not readable at all is skipped, and the missed events are read from Kilo’s history.`

const code = (word: string) => `\`${word}\``

function row(name: string, decision: Decision): string {
  if ('ignored' in decision) return `| ${code(name)} | ignored | ${decision.ignored} |`
  if ('records' in decision) return `| ${code(name)} | records | ${decision.records} |`
  return `| ${code(name)} | emits ${decision.emits.map(code).join(', ')} | ${decision.how} |`
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
