import { Type } from 'typebox'
import { ReviewBody, ReviewResult, type Jobs } from '#jobs'
import type { App } from '../../app-deps.ts'
import { userOf } from '../../plugins/auth.ts'
import { IdParams, EmptyBody, refusals } from '../../schemas.ts'

const SUMMARIES = {
  merge: 'Merge held work into main',
  discard: 'Discard held work',
  revert: 'Revert merged work by a new commit on main'
} as const

const DryRun = Type.Object({
  dryRun: Type.Optional(Type.Boolean({ description: 'only report what would happen' }))
})

const OptionalReview = Type.Union([Type.Null(), ReviewBody])

/** Review decisions about a job's finished work. */
export function reviewRoutes(app: App, jobs: Jobs): void {
  for (const verb of ['merge', 'discard', 'revert'] as const) {
    app.post(
      `/jobs/:id/${verb}`,
      {
        schema: {
          tags: ['review'],
          summary: SUMMARIES[verb],
          params: IdParams,
          querystring: DryRun,
          body: verb === 'revert' ? EmptyBody : OptionalReview,
          response: { 200: { ...ReviewResult, description: 'The outcome' }, ...refusals }
        }
      },
      async (request) =>
        jobs[verb](userOf(request), request.params.id, { ...request.query, ...request.body })
    )
  }
}
