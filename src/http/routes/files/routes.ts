import { Type } from 'typebox'
import { AppError } from '#kernel/errors.ts'
import type { ProjectId } from '#kernel/ids.ts'
import { LIMITS } from '#kernel/limits.ts'
import { forClients, fromClient } from '#editing'
import { ownProject } from '#projects'
import type { App, AppDeps } from '../../app-deps.ts'
import { etagOf } from './etags.ts'
import { decode, encode } from './file-content.ts'
import { userOf } from '../../plugins/auth.ts'
import { expectedSha, isKnown, onlyIfNew } from './preconditions.ts'
import { IdParams, refusals } from '../../schemas.ts'
import * as shapes from './schemas.ts'

/** The files of a project. Each save or deletion is a commit on main, and a `file:changed` frame. */
export function fileRoutes(app: App, deps: AppDeps): void {
  readRoutes(app, deps)
  changeRoutes(app, deps)
}

function readRoutes(app: App, { db, editing }: AppDeps): void {
  app.get(
    '/projects/:id/files',
    {
      schema: {
        tags: ['files'],
        summary: 'List the files of a project, sorted by path',
        params: IdParams,
        querystring: Type.Object({
          at: Type.Optional(Type.String({ minLength: 1, maxLength: 200 }))
        }),
        response: { 200: shapes.FileList, ...refusals }
      }
    },
    async (request) => {
      const { id } = await ownProject(db, userOf(request), request.params.id)
      const { head, files } = await editing.list(id, request.query.at)
      return { head, files: [...files] }
    }
  )

  app.get(
    '/projects/:id/files/*',
    {
      schema: {
        tags: ['files'],
        summary: 'Read a file',
        params: shapes.FileParams,
        querystring: shapes.FileQuery,
        headers: shapes.IfNoneMatch,
        response: { 200: shapes.FileView, 304: shapes.Unchanged, ...refusals }
      }
    },
    async (request, reply) => {
      const { id } = await ownProject(db, userOf(request), request.params.id)
      const { path, content, sha, size } = await editing.read(id, pathOf(request))
      void reply.header('etag', etagOf(sha)).header('cache-control', 'private, no-cache')
      if (isKnown(request.headers, sha)) return reply.code(304).send(undefined as never)
      return { ...forClients(path), ...encode(content), sha, size }
    }
  )
}

function changeRoutes(app: App, { db, editing }: AppDeps): void {
  /** The blob id of the file as it is now; undefined when it does not exist. */
  const shaOf = (projectId: ProjectId, path: string) =>
    editing.read(projectId, path).then(
      ({ sha }) => sha,
      (error: unknown) => {
        if (error instanceof AppError && error.code === 'not_found') return undefined
        throw error
      }
    )

  app.put(
    '/projects/:id/files/*',
    {
      bodyLimit: LIMITS.fileBodyBytesMax,
      config: { onFullDisk: 'store' },
      schema: {
        tags: ['files'],
        summary: 'Save a file as a commit',
        params: shapes.FileParams,
        querystring: shapes.FileQuery,
        headers: shapes.Preconditions,
        body: shapes.FileToSave,
        response: { 200: shapes.Saved, 201: shapes.Saved, ...refusals }
      }
    },
    async (request, reply) => {
      const userId = userOf(request)
      const { id } = await ownProject(db, userId, request.params.id)
      const { content, encoding, message } = request.body
      const path = pathOf(request)
      const { sha, commit, ignored, created } = await editing.save(userId, id, path, {
        content: decode(content, encoding),
        message,
        ifMatch: await expectedSha(request.headers, () => shaOf(id, path)),
        ifNoneMatch: onlyIfNew(request.headers)
      })
      return reply
        .code(created ? 201 : 200)
        .header('etag', etagOf(sha))
        .send({ ...forClients(path), sha, commit, ...(ignored ? { ignored } : {}) })
    }
  )

  app.delete(
    '/projects/:id/files/*',
    {
      schema: {
        tags: ['files'],
        summary: 'Delete a file as a commit',
        params: shapes.FileParams,
        querystring: shapes.FileQuery,
        headers: shapes.IfMatch,
        response: { 200: shapes.Deleted, ...refusals }
      }
    },
    async (request) => {
      const userId = userOf(request)
      const { id } = await ownProject(db, userId, request.params.id)
      const path = pathOf(request)
      const { commit } = await editing.remove(userId, id, path, {
        ifMatch: await expectedSha(request.headers, () => shaOf(id, path))
      })
      return { ...forClients(path), commit }
    }
  )
}

/** The path of a request, in the form that workspaces know. */
function pathOf({ params, query }: FileRequest): string {
  const path = fromClient({ path: params['*'], ...query })
  if (path !== undefined) return path
  throw new AppError(
    'invalid_request',
    'An escape of the path must be % and two hexadecimal digits'
  )
}

interface FileRequest {
  readonly params: { readonly '*': string }
  readonly query: { readonly pathEncoding?: 'percent' }
}
