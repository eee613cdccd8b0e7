import { Type } from 'typebox'
import { PermissionAnswer, QuestionAnswer, type Jobs } from '#jobs'
import { LIMITS } from '#kernel/limits.ts'
import type { App } from '../../app-deps.ts'
import { userOf } from '../../plugins/auth.ts'
import { empty, refusals } from '../../schemas.ts'

const Id = Type.String({ minLength: 1, maxLength: 200 })
const answered = { 204: empty('The agent continues'), ...refusals } as const

/** A user's answers to permissions and questions that an agent waits for. */
export function answerRoutes(app: App, jobs: Jobs): void {
  app.post(
    '/jobs/:id/permissions/:permissionId',
    {
      schema: {
        tags: ['jobs'],
        summary: 'Answer a permission request of the agent',
        params: Type.Object({ id: Id, permissionId: Id }),
        body: PermissionAnswer,
        response: answered
      }
    },
    async (request, reply) => {
      const { id, permissionId } = request.params
      await jobs.answerPermission(userOf(request), id, permissionId, request.body)
      return reply.code(204).send(null)
    }
  )

  app.post(
    '/jobs/:id/questions/:questionId',
    {
      bodyLimit: LIMITS.promptBodyBytesMax,
      schema: {
        tags: ['jobs'],
        summary: 'Answer or reject a question of the agent',
        params: Type.Object({ id: Id, questionId: Id }),
        body: QuestionAnswer,
        response: answered
      }
    },
    async (request, reply) => {
      const { id, questionId } = request.params
      await jobs.answerQuestion(userOf(request), id, questionId, request.body)
      return reply.code(204).send(null)
    }
  )
}
