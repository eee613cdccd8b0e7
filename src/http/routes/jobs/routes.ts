import { Type } from 'typebox'
import { JobDiff, JobView, type Jobs } from '#jobs'
import { LIMITS } from '#kernel/limits.ts'
import type { App } from '../../app-deps.ts'
import { accepts, varyByAccept } from '../../accept.ts'
import { userOf } from '../../plugins/auth.ts'
import { IdParams, Listed, EmptyBody, PageQuery, readPage, refusals } from '../../schemas.ts'

const DiffQuery = Type.Object({
  path: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: LIMITS.pathBytesMax,
      description: 'only the changes of this file, or of the files in this folder'
    })
  )
})

/** Jobs: list, read, cancel, diff. */
export function jobRoutes(app: App, jobs: Jobs): void {
  app.get(
    '/projects/:id/jobs',
    {
      schema: {
        tags: ['jobs'],
        summary: 'List the jobs of a project, newest first',
        params: IdParams,
        querystring: PageQuery,
        response: { 200: Listed(JobView, 'A page of jobs'), ...refusals }
      }
    },
    async (request) => jobs.list(userOf(request), request.params.id, readPage(request.query))
  )

  app.get(
    '/jobs/:id',
    {
      schema: {
        tags: ['jobs'],
        summary: 'Read a job',
        params: IdParams,
        response: { 200: { ...JobView, description: 'The job' }, ...refusals }
      }
    },
    async (request) => jobs.find(userOf(request), request.params.id)
  )

  app.post(
    '/jobs/:id/cancel',
    {
      config: { onFullDisk: 'free' },
      schema: {
        tags: ['jobs'],
        summary: 'Cancel a job',
        params: IdParams,
        body: EmptyBody,
        response: {
          202: { ...JobView, description: 'The job; it ends within seconds' },
          ...refusals
        }
      }
    },
    async (request, reply) =>
      reply.code(202).send(await jobs.cancel(userOf(request), request.params.id))
  )

  app.get(
    '/jobs/:id/diff',
    {
      schema: {
        tags: ['review'],
        summary: 'Read the changes of a job; `Accept: text/x-diff` for the raw patch',
        params: IdParams,
        querystring: DiffQuery,
        response: { 200: { ...JobDiff, description: 'The changes, file by file' }, ...refusals }
      }
    },
    async (request, reply) => {
      varyByAccept(reply)
      const { params, query } = request
      if (!accepts(request, 'text/x-diff')) {
        return jobs.diff(userOf(request), params.id, query.path)
      }
      const { bytes, stream } = await jobs.rawDiff(userOf(request), params.id, query.path)
      // Its bytes are those of the files, in whatever encoding they are.
      return reply
        .type('text/x-diff')
        .header('content-length', bytes)
        .send(stream as never)
    }
  )
}
