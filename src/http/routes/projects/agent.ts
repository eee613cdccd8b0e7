import { Type } from 'typebox'
import { AgentRestart, AgentView, type Jobs } from '#jobs'
import type { App } from '../../app-deps.ts'
import { userOf } from '../../plugins/auth.ts'
import { IdParams, refusals } from '../../schemas.ts'

/** The agent of a project: its state, and a way to get a new one. */
export function agentRoutes(app: App, jobs: Jobs): void {
  app.get(
    '/projects/:id/agent',
    {
      schema: {
        tags: ['projects'],
        summary: 'Read the state of the agent of a project, and what it uses',
        params: IdParams,
        response: { 200: { ...AgentView, description: 'The agent' }, ...refusals }
      }
    },
    async (request) => jobs.agent(userOf(request), request.params.id)
  )

  app.post(
    '/projects/:id/agent/restart',
    {
      schema: {
        tags: ['projects'],
        summary: 'Stop the agent of a project and forget its failures; the next job starts another',
        params: IdParams,
        body: Type.Union([Type.Null(), AgentRestart]),
        response: {
          202: { ...AgentView, description: 'The agent is stopped, or still draining' },
          ...refusals
        }
      }
    },
    async (request, reply) => {
      const { params, body } = request
      return reply.code(202).send(await jobs.restartAgent(userOf(request), params.id, body ?? {}))
    }
  )
}
