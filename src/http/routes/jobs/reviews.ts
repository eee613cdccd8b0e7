import { Type, type Static } from 'typebox'
import { ReviewBody, ReviewResult, type Jobs } from '#jobs'
import { LIMITS } from '#kernel/limits.ts'
import type { App } from '../../app-deps.ts'
import { decode } from '../files/file-content.ts'
import { userOf } from '../../plugins/auth.ts'
import { IdParams, refusals } from '../../schemas.ts'

const SUMMARIES = {
  merge: 'Merge held work into main',
  discard: 'Discard held work',
  revert: 'Revert merged work by a new commit on main'
} as const

const DryRun = Type.Object({
  dryRun: Type.Optional(Type.Boolean({ description: 'only report what would happen' }))
})

const OptionalReview = Type.Union([Type.Null(), ReviewBody])

function optionsOf({ dryRun }: Static<typeof DryRun>, body: Static<typeof OptionalReview>) {
  const resolutions = body?.resolutions?.map(({ path, content, encoding }) => ({
    path,
    content: content === null ? null : decode(content, encoding)
  }))
  return { dryRun, include: body?.include, resolutions }
}

/** Review decisions about a job's finished work. */
export function reviewRoutes(app: App, jobs: Jobs): void {
  for (const verb of ['merge', 'discard', 'revert'] as const) {
    app.post(
      `/jobs/:id/${verb}`,
      {
        bodyLimit: LIMITS.fileBodyBytesMax,
        schema: {
          tags: ['review'],
          summary: SUMMARIES[verb],
          params: IdParams,
          querystring: DryRun,
          body: OptionalReview,
          response: { 200: { ...ReviewResult, description: 'The outcome' }, ...refusals }
        }
      },
      async (request) =>
        jobs[verb](userOf(request), request.params.id, optionsOf(request.query, request.body))
    )
  }
}
