import { RepairResult } from '#jobs'
import { projectId } from '#kernel/ids.ts'
import { LIMITS } from '#kernel/limits.ts'
import { checkCursor, pageOf } from '#kernel/pages.ts'
import { ownProject, readProjects, updateProject, type Project } from '#projects'
import type { App, AppDeps } from '../../app-deps.ts'
import { userOf } from '../../plugins/auth.ts'
import { reservedUlidOf } from '../../plugins/idempotency/idempotency.ts'
import {
  empty,
  Idempotent,
  IdParams,
  Listed,
  EmptyBody,
  PageQuery,
  readPage,
  refusals
} from '../../schemas.ts'
import { NewProject, ProjectChanges, ProjectView } from './schemas.ts'

/** A user's projects. A project of another user is answered with 404. */
export function projectRoutes(app: App, deps: AppDeps): void {
  collectionRoutes(app, deps)
  singleRoutes(app, deps)
}

function collectionRoutes(app: App, { db, editing }: AppDeps): void {
  app.post(
    '/projects',
    {
      bodyLimit: LIMITS.fileBodyBytesMax,
      config: { idempotent: 'plain' },
      schema: {
        tags: ['projects'],
        summary: 'Create a project',
        headers: Idempotent,
        body: NewProject,
        response: { 201: ProjectView, ...refusals }
      }
    },
    async (request, reply) => {
      const { project, head } = await editing.createProject(
        userOf(request),
        request.body,
        reservedUlidOf(request)
      )
      return reply
        .code(201)
        .header('location', `/projects/${project.id}`)
        .send(toView(project, head))
    }
  )

  app.get(
    '/projects',
    {
      schema: {
        tags: ['projects'],
        summary: 'List your projects, newest first',
        querystring: PageQuery,
        response: { 200: Listed(ProjectView, 'A page of projects'), ...refusals }
      }
    },
    async (request) => {
      const { cursor, limit } = readPage(request.query)
      const before = checkCursor(cursor, projectId.is)
      const found = await readProjects(db, userOf(request), { before, limit: limit + 1 })
      const page = pageOf(found, limit, ({ id }) => id)
      const items = await Promise.all(page.items.map((project) => viewOf(editing, project)))
      return { ...page, items }
    }
  )
}

function singleRoutes(app: App, { db, jobs, editing }: AppDeps): void {
  app.get(
    '/projects/:id',
    {
      schema: {
        tags: ['projects'],
        summary: 'Read a project',
        params: IdParams,
        response: { 200: ProjectView, ...refusals }
      }
    },
    async (request) => viewOf(editing, await ownProject(db, userOf(request), request.params.id))
  )

  app.patch(
    '/projects/:id',
    {
      schema: {
        tags: ['projects'],
        summary: 'Change the name or the review setting of a project',
        params: IdParams,
        body: ProjectChanges,
        response: { 200: ProjectView, ...refusals }
      }
    },
    async (request) => {
      const { id } = await ownProject(db, userOf(request), request.params.id)
      const { name, review } = request.body
      return viewOf(editing, await updateProject(db, id, { name: name?.trim(), review }))
    }
  )

  app.post(
    '/projects/:id/repair',
    {
      schema: {
        tags: ['projects'],
        summary: 'Check the workspace of a project, and repair what can be repaired',
        params: IdParams,
        body: EmptyBody,
        response: { 200: { ...RepairResult, description: 'What was found' }, ...refusals }
      }
    },
    async (request) => jobs.repair(userOf(request), request.params.id)
  )

  app.delete(
    '/projects/:id',
    {
      schema: {
        tags: ['projects'],
        summary: 'Cancel the jobs of a project and delete it',
        params: IdParams,
        response: { 204: empty('The project is deleted'), ...refusals }
      }
    },
    async (request, reply) => {
      await jobs.removeProject(userOf(request), request.params.id)
      return reply.code(204).send(null)
    }
  )
}

const viewOf = async (editing: AppDeps['editing'], project: Project) =>
  toView(project, await editing.head(project.id))

const toView = ({ id, name, review, createdAt }: Project, head: string | null): ProjectView => ({
  id,
  name,
  head,
  review,
  createdAt: createdAt.toISOString()
})
