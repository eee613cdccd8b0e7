import type { MessageInfo } from './schemas.ts'

/** The messages of one turn, and the last answer of its root session. */
export interface Messages {
  readonly byId: ReadonlyMap<string, MessageInfo>
  /** False when a newer state of the message is known: a read may return an older one than the stream. */
  learn(info: MessageInfo, live: boolean): boolean
  isRootAnswer(info: MessageInfo): boolean
  lastAnswer(): MessageInfo | undefined
}

export function createMessages(rootSessionId: string): Messages {
  const byId = new Map<string, MessageInfo>()
  let lastAnswer: MessageInfo | undefined

  const isOutdated = ({ id, time }: MessageInfo) =>
    byId.get(id)?.time.completed !== undefined && time.completed === undefined
  const isRootAnswer = ({ sessionID, role }: MessageInfo) =>
    sessionID === rootSessionId && role === 'assistant'

  return {
    byId,
    isRootAnswer,
    learn(info, live) {
      if (!live && isOutdated(info)) return false
      byId.set(info.id, info)
      const isLast = live || lastAnswer === undefined || lastAnswer.id <= info.id
      if (isRootAnswer(info) && isLast) lastAnswer = info
      return true
    },
    lastAnswer: () => lastAnswer
  }
}

/** Whether this answer has ended and was begun at or after this moment of Kilo's clock. */
export function hasEndedSince(answer: MessageInfo | undefined, ms: number): boolean {
  if (!answer) return false
  const hasEnded = answer.finish !== undefined || answer.error !== undefined
  return hasEnded && answer.time.created >= ms
}

/** The reason with which the turn of this last answer closed; undefined while the answer is not complete. */
export function closeReasonOf(
  answer: MessageInfo | undefined
): 'completed' | 'error' | 'interrupted' | undefined {
  if (!answer?.time.completed) return undefined
  if (!answer.error) return 'completed'
  return answer.error.name === 'MessageAbortedError' ? 'interrupted' : 'error'
}
