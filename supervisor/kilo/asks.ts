import type { AgentEvent } from '#kernel/agent-events.ts'
import { LIMITS } from '#kernel/limits.ts'
import { cutText } from './truncate.ts'
import type { RelativePath } from './paths.ts'
import type { PermissionAsked, QuestionAsked } from './schemas.ts'

/** The permissions and questions that an agent waits for: each is emitted once, and open until it is answered. */
export interface Asks {
  permission(asked: PermissionAsked): AgentEvent | undefined
  question(asked: QuestionAsked): AgentEvent | undefined
  answered(id: string): void
  /** Those without an answer. */
  open(): readonly { readonly id: string; readonly kind: 'permission' | 'question' }[]
}

export function createAsks(relative: RelativePath): Asks {
  const seen = new Set<string>()
  const open = new Map<string, 'permission' | 'question'>()

  const isNew = (id: string, kind: 'permission' | 'question') => {
    if (seen.has(id)) return false
    seen.add(id)
    open.set(id, kind)
    return true
  }

  return {
    permission(asked) {
      if (!isNew(asked.id, 'permission')) return undefined
      return {
        type: 'permission.asked',
        permissionId: asked.id,
        kind: asked.permission,
        patterns: asked.patterns.map(relative),
        title: titleOf(asked, relative)
      }
    },
    question(asked) {
      if (!isNew(asked.id, 'question')) return undefined
      const questions = asked.questions.map((question) => ({
        question: question.question,
        header: question.header ?? '',
        options: (question.options ?? []).map(({ label, description }) => ({
          label,
          description: description ?? ''
        })),
        multiple: question.multiple ?? false
      }))
      return { type: 'question.asked', questionId: asked.id, questions }
    },
    answered(id) {
      // A list of open requests that was read before this answer may arrive after it.
      seen.add(id)
      open.delete(id)
    },
    open: () => [...open].map(([id, kind]) => ({ id, kind }))
  }
}

function titleOf(asked: PermissionAsked, relative: RelativePath): string {
  const { command, filepath, description } = asked.metadata ?? {}
  const title = [command, filepath, description].find(
    (text): text is string => typeof text === 'string' && text !== ''
  )
  const shown = title === filepath && title !== undefined ? relative(title) : title
  return cutText(shown ?? asked.patterns.join(', '), LIMITS.toolTextBytesMax)
}
