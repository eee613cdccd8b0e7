import type { AgentEvent } from '#kernel/agent-events.ts'

/** What we make of one word of Kilo's: something that the job tells, something that we remember, or nothing. */
export type Decision =
  | { readonly tells: readonly AgentEvent['type'][]; readonly how: string }
  | { readonly remembers: string }
  | { readonly nothing: string }

const nothing = (why: string) => ({ nothing: why }) as const
const remembers = (what: string) => ({ remembers: what }) as const
const tells = (how: string, ...types: AgentEvent['type'][]) => ({ tells: types, how }) as const

const OF_THE_MACHINE = nothing('of Kilo’s own household, and of no turn')
const OFF = nothing('a tool or a service that is switched off')
const OTHER_INTERFACE = nothing('for the terminal and the editors; nobody looks at this Kilo')
const NEXT = nothing('Kilo’s next interface, spoken beside the present one, says the same')

/**
 * Every type of event that a running Kilo can send, each with what becomes of it. `x.*` stands for all that begin so.
 * What is not in here is kept by name, counted, and harms nobody.
 */
export const EVENT_DECISIONS = {
  'session.created': remembers(
    'a sub-agent’s session belongs to the turn of the one that called it'
  ),
  'session.updated': remembers('the same, for one whose birth was not heard'),
  'session.turn.open': tells('of the root session, once', 'turn.opened'),
  'session.turn.close': tells('of the root session; a sub-agent’s is not the end', 'turn.finished'),
  'session.error': remembers('why the turn fails, if it closes with an error; it may yet go on'),
  'session.status': tells('by its type, see below', 'notice'),
  'session.network.asked': tells('answered: try again a few times, or give up', 'notice'),
  'message.updated': tells(
    'remembers whose words its parts are, which model they come from and how it ended; tells when it sums up the conversation',
    'notice'
  ),
  'message.part.updated': tells(
    'by the part’s type, see below',
    'text.appended',
    'tool.updated',
    'usage.reported'
  ),
  'message.part.delta': tells('what is new of a text of the root session', 'text.appended'),
  'todo.updated': tells('of the root session', 'todo.updated'),
  'permission.asked': tells('of the whole tree, once', 'permission.asked'),
  'permission.replied': tells('of the whole tree', 'prompt.closed'),
  'question.asked': tells('of the whole tree, once', 'question.asked'),
  'question.replied': tells('of the whole tree', 'prompt.closed'),
  'question.rejected': tells('of the whole tree', 'prompt.closed'),
  // It says everything durable a second time, in order.
  sync: remembers('how far each session has been heard: a gap in `seq` proves a loss'),

  'message.removed': nothing('what was told cannot be taken back'),
  'message.part.removed': nothing('what was told cannot be taken back'),
  'session.compacted': nothing('the message with the summary tells it, and is durable'),
  'session.deleted': nothing('nobody deletes the session of a running turn'),
  'session.idle': nothing('it comes twice, early, and for sub-agents: the turn’s close is the end'),
  'session.diff': nothing('our own git tells what is different'),
  'session.queue.changed': nothing('the queue is ours'),
  'session.drained': nothing('what would need it is switched off'),
  'session.drain.interrupted': nothing('follows a stop, which the turn’s close tells'),
  'session.wakeup': OFF,
  'session.network.replied': nothing('the answer was ours'),
  'session.network.rejected': nothing('the answer was ours'),
  'session.network.restored': nothing('Kilo goes on by itself, and says so by what it does'),
  'session.next.*': NEXT,
  'permission.v2.*': NEXT,
  'question.v2.*': NEXT,
  'file.edited': nothing(
    'knows no session, and misses what commands do: the worktree is looked at instead'
  ),
  'file.watcher.updated': nothing(
    'knows no session, and misses what commands do: the worktree is looked at instead'
  ),
  'command.executed': nothing('nobody sends commands with a slash'),
  'sandbox.status.changed': nothing('the jail is ours'),
  'vcs.branch.updated': nothing('branches are ours'),
  'server.connected': nothing('the stream itself says that it is open'),
  'server.heartbeat': nothing('a sign of life, which the stream’s own watch sees'),
  'server.instance.disposed': nothing('the process ends, or the stream does, and both are seen'),
  'global.disposed': nothing('the process ends, or the stream does, and both are seen'),
  'global.config.updated': OF_THE_MACHINE,
  'plugin.added': OF_THE_MACHINE,
  'catalog.updated': OF_THE_MACHINE,
  'integration.*': OF_THE_MACHINE,
  'reference.updated': OF_THE_MACHINE,
  'models-dev.refreshed': OF_THE_MACHINE,
  'project.*': OF_THE_MACHINE,
  'installation.*': OF_THE_MACHINE,
  'workspace.*': OF_THE_MACHINE,
  'worktree.*': OF_THE_MACHINE,
  'lsp.*': nothing('the model hears of diagnostics in its tool’s output'),
  'mcp.*': nothing('tools of other servers are told as tools'),
  'memory.*': OFF,
  'indexing.*': OFF,
  'suggestion.*': OFF,
  'background_process.*': OFF,
  'kilocode.*': OTHER_INTERFACE,
  'kilo-sessions.*': OTHER_INTERFACE,
  'tui.*': OTHER_INTERFACE,
  'pty.*': OTHER_INTERFACE,
  'interactive_terminal.*': OTHER_INTERFACE
} as const satisfies Record<string, Decision>

/** Every type that a part of a message can have. */
export const PART_DECISIONS = {
  text: tells(
    'the root’s own answer; of sub-agents it comes as their tool’s output',
    'text.appended'
  ),
  reasoning: tells('of the root’s answers', 'text.appended'),
  tool: tells('of the whole tree: that it runs, and how it ended', 'tool.updated'),
  'step-finish': tells('of the whole tree, once a step', 'usage.reported'),
  'step-start': nothing('what the step does is told as it does it'),
  snapshot: nothing('Kilo’s own snapshots are off; our git is the truth'),
  patch: nothing('the worktree is looked at after each tool that can write'),
  file: nothing('something that the person sent along'),
  agent: nothing('something that the person sent along'),
  subtask: nothing('nobody sends commands; sub-agents are called by a tool'),
  retry: nothing('the session’s status tells it, with the time of the next try'),
  compaction: nothing('the message with the summary tells it when it has been done')
} as const satisfies Record<string, Decision>

/** Every type of `session.status`. */
export const STATUS_DECISIONS = {
  busy: nothing('what it does is told as it does it'),
  idle: nothing('the turn’s close is the end'),
  retry: tells('once a try', 'notice'),
  offline: nothing('`session.network.asked` says the same, and can be answered')
} as const satisfies Record<string, Decision>
