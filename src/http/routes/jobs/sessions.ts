import { MessageView, SessionView, type Jobs } from '#jobs'
import type { App } from '../../app-deps.ts'
import { userOf } from '../../plugins/auth.ts'
import { IdParams, Listed, PageQuery, readPage, refusals } from '../../schemas.ts'

/** Conversations with the agent; a job starts or continues one. */
export function sessionRoutes(app: App, jobs: Jobs): void {
  app.get(
    '/projects/:id/sessions',
    {
      schema: {
        tags: ['sessions'],
        summary: 'List the conversations of a project, newest first',
        params: IdParams,
        querystring: PageQuery,
        response: { 200: Listed(SessionView, 'A page of conversations'), ...refusals }
      }
    },
    async (request) => jobs.sessions(userOf(request), request.params.id, readPage(request.query))
  )

  app.get(
    '/sessions/:id/messages',
    {
      schema: {
        tags: ['sessions'],
        summary: 'List the messages of a conversation, oldest first',
        params: IdParams,
        querystring: PageQuery,
        response: { 200: Listed(MessageView, 'A page of messages'), ...refusals }
      }
    },
    async (request) => jobs.messages(userOf(request), request.params.id, readPage(request.query))
  )
}
