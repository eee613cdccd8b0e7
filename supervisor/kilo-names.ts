/** Kilo's words that we know and have no use for: they are no surprise, and are not reported. */
const IGNORED: ReadonlySet<string> = new Set([
  // Every durable change is said twice; this is the other time.
  'sync',
  'server.connected',
  'server.heartbeat',
  'server.instance.disposed',
  'global.disposed',
  'global.config.updated',
  'session.updated',
  'session.deleted',
  'session.idle',
  'session.diff',
  'session.queue.changed',
  'session.drained',
  'session.drain.interrupted',
  'session.network.replied',
  'session.network.rejected',
  'session.network.restored',
  'sandbox.status.changed',
  'message.removed',
  'message.part.removed',
  'file.edited',
  'file.watcher.updated',
  'plugin.added',
  'catalog.updated',
  'integration.updated',
  'reference.updated',
  'models-dev.refreshed',
  'project.updated',
  'project.directories.updated',
  'vcs.branch.updated',
  'lsp.updated',
  'lsp.client.diagnostics',
  'mcp.tools.changed',
  'command.executed',
  'installation.updated',
  'installation.update-available',
  'indexing.status',
  'indexing.warning',
  'memory.status',
  'memory.updated',
  'memory.error'
])

/** Parts of messages that tell us nothing that we don't hear otherwise. */
const IGNORED_PARTS: ReadonlySet<string> = new Set([
  'step-start',
  'snapshot',
  'patch',
  'file',
  'agent',
  'subtask',
  'retry',
  'compaction'
])

/** Kilo's next interface, spoken beside the present one. */
const IGNORED_PREFIXES = ['session.next.', 'permission.v2.', 'question.v2.', 'tui.', 'pty.']

export const isIgnoredEvent = (name: string) =>
  IGNORED.has(name) || IGNORED_PREFIXES.some((prefix) => name.startsWith(prefix))

export const isIgnoredPart = (type: string) => IGNORED_PARTS.has(type)
