import { Type } from 'typebox'
import { AiCommand, Estimate, Submitted, type Jobs } from '#jobs'
import { LIMITS } from '#kernel/limits.ts'
import type { App } from '../../app-deps.ts'
import { userOf } from '../../plugins/auth.ts'
import { reservedUlidOf } from '../../plugins/idempotency/idempotency.ts'
import { Idempotent, IdParams, EmptyBody, refusals } from '../../schemas.ts'

const accepted = { 202: { ...Submitted, description: 'The job is queued' }, ...refusals } as const

const DryRun = Type.Object({
  dryRun: Type.Optional(Type.Boolean({ description: 'only estimate the reservation and the cost' }))
})

/** Starts jobs: from a prompt, or as a retry. */
export function commandRoutes(app: App, jobs: Jobs): void {
  app.post(
    '/projects/:id/ai-command',
    {
      bodyLimit: LIMITS.promptBodyBytesMax,
      config: { idempotent: 'plain' },
      schema: {
        tags: ['jobs'],
        summary: 'Send a prompt to the agent',
        params: IdParams,
        querystring: DryRun,
        headers: Idempotent,
        body: AiCommand,
        response: {
          200: {
            ...Estimate,
            description: 'With `dryRun`: the estimate. Nothing is started'
          },
          ...accepted
        }
      }
    },
    async (request, reply) => {
      if (request.query.dryRun) {
        return jobs.estimate(userOf(request), request.params.id, request.body)
      }
      const { params, body } = request
      const submitted = await jobs.submit(userOf(request), params.id, body, reservedUlidOf(request))
      return reply.code(202).header('location', `/jobs/${submitted.jobId}`).send(submitted)
    }
  )

  app.post(
    '/jobs/:id/retry',
    {
      config: { idempotent: 'plain' },
      schema: {
        tags: ['jobs'],
        summary: 'Retry a failed, cancelled or conflicted job as a new job',
        params: IdParams,
        headers: Idempotent,
        body: EmptyBody,
        response: accepted
      }
    },
    async (request, reply) => {
      const submitted = await jobs.retry(
        userOf(request),
        request.params.id,
        reservedUlidOf(request)
      )
      return reply.code(202).header('location', `/jobs/${submitted.jobId}`).send(submitted)
    }
  )
}
