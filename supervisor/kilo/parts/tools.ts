import type { AgentEvent, ToolStatus } from '#kernel/agent-events.ts'
import { LIMITS } from '#kernel/limits.ts'
import { cutJson, cutText } from '../truncate.ts'
import { relativeInput, type RelativePath } from '../paths.ts'
import type { ToolPart } from '../schemas.ts'

type ToolUpdated = Extract<AgentEvent, { type: 'tool.updated' }>

/** Tools that leave the worktree unchanged. Any other may have written. */
const READ_ONLY: ReadonlySet<string> = new Set([
  'read',
  'glob',
  'grep',
  'list',
  'lsp',
  'codesearch',
  'todowrite',
  'todoread',
  'question',
  'webfetch',
  'websearch',
  'skill',
  'invalid'
])

const isStatus = (status: string): status is ToolStatus =>
  status === 'running' || status === 'completed' || status === 'error'

export interface ToolParts {
  see(part: ToolPart): ToolUpdated | undefined
}

/**
 * Translates the life of a tool call into few events: it runs, once (and again if its title changes), and it ended, once.
 * Kilo repeats the whole part at every line of output. The id of a call is that of its part, which is unique; the ids
 * that models choose are not always.
 */
export function createToolParts(relative: RelativePath): ToolParts {
  const emitted = new Map<string, string>()

  return {
    see({ id, tool, state }) {
      const { status } = state
      if (!isStatus(status)) return undefined

      const title = titleOf(tool, state, relative)
      const stage = status === 'running' ? `running ${title}` : 'ended'
      if (emitted.get(id) === stage || emitted.get(id) === 'ended') return undefined
      emitted.set(id, stage)

      const max = LIMITS.toolTextBytesMax
      const output = status === 'error' ? state.error : state.output
      const input = relativeInput(state.input, relative)
      const shownInput = cutJson(input, max)
      const shownOutput = output === undefined ? undefined : cutText(output, max)
      const truncated = shownInput !== input || shownOutput !== output
      return {
        type: 'tool.updated',
        callId: id,
        tool,
        status,
        title,
        ...(input === undefined ? {} : { input: shownInput }),
        ...(shownOutput === undefined ? {} : { output: shownOutput }),
        ...(truncated ? { truncated } : {}),
        mayWrite: status !== 'running' && !READ_ONLY.has(tool)
      }
    }
  }
}

const TITLE_BYTES_MAX = 512

function titleOf(tool: string, state: ToolPart['state'], relative: RelativePath): string {
  const input = (state.input ?? {}) as Record<string, unknown>
  const field = (name: string) => {
    const value = input[name]
    return typeof value === 'string' && value !== '' ? value : undefined
  }
  const path = field('filePath') ?? field('filepath')
  const title =
    (path && relative(path)) ??
    field('pattern') ??
    (state.title || undefined) ??
    field('description') ??
    field('command') ??
    tool
  return cutText(title, TITLE_BYTES_MAX)
}
