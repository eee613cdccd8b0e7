import type { AgentEvent } from '#kernel/agent-events.ts'

/** What becomes of one type of Kilo's: events of ours, a record that later events depend on, or nothing. */
export type Decision =
  | { readonly emits: readonly AgentEvent['type'][]; readonly how: string }
  | { readonly records: string }
  | { readonly ignored: string }

const ignored = (why: string) => ({ ignored: why }) as const
const records = (what: string) => ({ records: what }) as const
const emits = (how: string, ...types: AgentEvent['type'][]) => ({ emits: types, how }) as const

const INTERNAL = ignored('internal to Kilo; concerns no turn')
const OFF = ignored('a tool or a service that is disabled')
const OTHER_CLIENT = ignored('for Kilo’s terminal and editors; neither is attached to this Kilo')
const DUPLICATE = ignored(
  'Kilo’s next protocol, sent beside the present one; the present one carries the same'
)
const BY_WORKTREE = ignored(
  'has no session, and omits what commands change: the worktree is compared instead'
)
const STREAM_ENDS = ignored(
  'the exit of the process or the end of the stream follows, and both are detected'
)
const SESSION_INFO =
  'the parent of a session: a sub-agent’s session belongs to the turn of its parent'

/**
 * Every type of event that a running Kilo can send, with what becomes of it. `x.*` covers every type with that prefix.
 * A type that is not in this table is counted by name and changes nothing.
 */
export const EVENT_DECISIONS = {
  'session.created': records(SESSION_INFO),
  'session.updated': records('the same, for a session whose creation was missed'),
  'session.turn.open': emits('of the root session, once', 'turn.opened'),
  'session.turn.close': emits('of the root session; a sub-agent’s is not the end', 'turn.finished'),
  'session.error': records('why the turn fails if it closes with an error; it may still continue'),
  'session.status': emits('depends on its type, see below', 'notice'),
  'session.network.asked': emits('answered: retry a few times, then reject', 'notice'),
  'message.updated': emits(
    'records the role, the model and the end of a message for its parts; emits a notice when it is the summary of the conversation',
    'notice'
  ),
  'message.part.updated': emits(
    'depends on the part’s type, see below',
    'text.appended',
    'tool.updated',
    'usage.reported'
  ),
  'message.part.delta': emits('the new piece of a text of the root session', 'text.appended'),
  'todo.updated': emits('of the root session', 'todo.updated'),
  'permission.asked': emits('of the whole tree, once', 'permission.asked'),
  'permission.replied': emits('of the whole tree', 'prompt.closed'),
  'question.asked': emits('of the whole tree, once', 'question.asked'),
  'question.replied': emits('of the whole tree', 'prompt.closed'),
  'question.rejected': emits('of the whole tree', 'prompt.closed'),
  // The second copy of every durable change, in order.
  sync: records('the cursor of each session: a gap in `seq` proves a loss'),

  'message.removed': ignored('an emitted event cannot be taken back'),
  'message.part.removed': ignored('an emitted event cannot be taken back'),
  'session.compacted': ignored('the message with the summary says the same, and is durable'),
  'session.deleted': ignored('the session of a running turn is never deleted'),
  'session.idle': ignored(
    'comes twice, too early, and for sub-agents too: the close of the turn is its end'
  ),
  'session.diff': ignored('our own git computes the diff'),
  'session.queue.changed': ignored('the queue is ours'),
  'session.drained': ignored('only disabled features need it'),
  'session.drain.interrupted': ignored('follows a stop, which the close of the turn reports'),
  'session.wakeup': OFF,
  'session.network.replied': ignored('the answer was ours'),
  'session.network.rejected': ignored('the answer was ours'),
  'session.network.restored': ignored('Kilo continues by itself, and its next events show it'),
  'session.next.*': DUPLICATE,
  'permission.v2.*': DUPLICATE,
  'question.v2.*': DUPLICATE,
  'file.edited': BY_WORKTREE,
  'file.watcher.updated': BY_WORKTREE,
  'command.executed': ignored('slash commands are never sent'),
  'sandbox.status.changed': ignored('the sandbox is ours'),
  'vcs.branch.updated': ignored('branches are ours'),
  'server.connected': ignored('the response itself shows that the stream is open'),
  'server.heartbeat': ignored('only the stream’s silence timeout needs it'),
  'server.instance.disposed': STREAM_ENDS,
  'global.disposed': STREAM_ENDS,
  'global.config.updated': INTERNAL,
  'plugin.added': INTERNAL,
  'catalog.updated': INTERNAL,
  'integration.*': INTERNAL,
  'reference.updated': INTERNAL,
  'models-dev.refreshed': INTERNAL,
  'project.*': INTERNAL,
  'installation.*': INTERNAL,
  'workspace.*': INTERNAL,
  'worktree.*': INTERNAL,
  'lsp.*': ignored('diagnostics are part of the output of the model’s tool'),
  'mcp.*': ignored('a tool of an MCP server is a tool part like any other'),
  'memory.*': OFF,
  'indexing.*': OFF,
  'suggestion.*': OFF,
  'background_process.*': OFF,
  'kilocode.*': OTHER_CLIENT,
  'kilo-sessions.*': OTHER_CLIENT,
  'tui.*': OTHER_CLIENT,
  'pty.*': OTHER_CLIENT,
  'interactive_terminal.*': OTHER_CLIENT
} as const satisfies Record<string, Decision>

/** Every type that a part of a message can have. */
export const PART_DECISIONS = {
  text: emits(
    'of the root’s answers; a sub-agent’s text is the output of the tool that called it',
    'text.appended'
  ),
  reasoning: emits('of the root’s answers', 'text.appended'),
  tool: emits('of the whole tree: when it runs, and when it has ended', 'tool.updated'),
  'step-finish': emits('of the whole tree, once per step', 'usage.reported'),
  'step-start': ignored('the parts of the step follow'),
  snapshot: ignored('Kilo’s own snapshots are disabled; our git is the truth'),
  patch: ignored('the worktree is compared after each tool that can write'),
  file: ignored('an attachment of the prompt'),
  agent: ignored('an attachment of the prompt'),
  subtask: ignored('slash commands are never sent; a tool calls sub-agents'),
  retry: ignored('the session’s status says the same, with the time of the next attempt'),
  compaction: ignored('the message with the summary says when it is complete')
} as const satisfies Record<string, Decision>

/** Every type of `session.status`. */
export const STATUS_DECISIONS = {
  busy: ignored('the events of the turn follow'),
  idle: ignored('the close of the turn is its end'),
  retry: emits('once per attempt', 'notice'),
  offline: ignored('`session.network.asked` says the same, and can be answered')
} as const satisfies Record<string, Decision>
