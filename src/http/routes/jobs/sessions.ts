import { MessageView, SessionView, type Jobs } from '#jobs'
import type { App } from '../../app-deps.ts'
import { userOf } from '../../plugins/auth.ts'
import { IdParams, Listed, PageQuery, pageOf, refusals } from '../../schemas.ts'

/** Conversations: what jobs continue. */
export function sessionRoutes(app: App, jobs: Jobs): void {
  app.get(
    '/projects/:id/sessions',
    {
      schema: {
        tags: ['sessions'],
        summary: 'Conversations of a project, newest first',
        params: IdParams,
        querystring: PageQuery,
        response: { 200: Listed(SessionView, 'A page of conversations'), ...refusals }
      }
    },
    async (request) => jobs.sessions(userOf(request), request.params.id, pageOf(request.query))
  )

  app.get(
    '/sessions/:id/messages',
    {
      schema: {
        tags: ['sessions'],
        summary: 'What was said in a conversation, oldest first',
        params: IdParams,
        querystring: PageQuery,
        response: { 200: Listed(MessageView, 'A page of messages'), ...refusals }
      }
    },
    async (request) => jobs.messages(userOf(request), request.params.id, pageOf(request.query))
  )
}
