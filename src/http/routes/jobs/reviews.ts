import { Type } from 'typebox'
import { ReviewResult, type Jobs } from '#jobs'
import type { App } from '../../app-deps.ts'
import { userOf } from '../../plugins/auth.ts'
import { IdParams, NoBody, refusals } from '../../schemas.ts'

const SUMMARIES = {
  merge: 'Bring held work into main',
  discard: 'Drop held work',
  revert: 'Take merged work back out of main, by a new commit'
} as const

const DryRun = Type.Object({
  dryRun: Type.Optional(Type.Boolean({ description: 'only say what would happen' }))
})

/** What a person decides about work that is done. */
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
          body: NoBody,
          response: { 200: { ...ReviewResult, description: 'What happened' }, ...refusals }
        }
      },
      async (request) =>
        jobs[verb](userOf(request), request.params.id, request.query.dryRun ?? false)
    )
  }
}
