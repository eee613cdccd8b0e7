import { Type } from 'typebox'
import { OnlyThese } from '#kernel/schema-kit.ts'
import { IdParams } from '../../schemas.ts'

const Sha = Type.String({ description: 'git blob id of the content' })
const Commit = Type.String({ description: 'of main' })
const Encoding = Type.Enum(['utf-8', 'base64'])
const Tags = (description: string) => Type.Optional(Type.String({ maxLength: 2000, description }))

export const FileParams = Type.Object({
  id: IdParams.properties.id,
  '*': Type.String({ description: "the file's path, `/` between folders" })
})

export const IfMatch = Type.Object({
  'if-match': Tags('only if the file is still this one: `"<sha>"`, or `*` for any')
})
export const IfNoneMatch = Type.Object({
  'if-none-match': Tags('304 if the file is still this one: `"<sha>"`')
})
export const Preconditions = Type.Object({
  ...IfMatch.properties,
  'if-none-match': Tags('`*`: only if there is no such file yet')
})

export const FileList = Type.Object(
  {
    head: Type.String(),
    files: Type.Array(Type.Object({ path: Type.String(), size: Type.Integer(), sha: Sha }))
  },
  { description: 'The files; what git ignores is left out' }
)
export const FileView = Type.Object(
  {
    path: Type.String(),
    content: Type.String(),
    encoding: Encoding,
    sha: Sha,
    size: Type.Integer({ description: 'bytes' })
  },
  { description: 'The file' }
)
export const Unchanged = Type.Null({ description: 'It is the one that you know' })

export const FileToSave = Type.Object(
  {
    content: Type.String(),
    encoding: Type.Optional(Encoding),
    message: Type.Optional(
      Type.String({ minLength: 1, maxLength: 10_000, pattern: '\\S', description: 'of the commit' })
    )
  },
  OnlyThese
)
export const Saved = Type.Object(
  { path: Type.String(), sha: Sha, commit: Commit },
  { description: 'The file is saved; 201 when it is new' }
)
export const Deleted = Type.Object(
  { path: Type.String(), commit: Commit },
  { description: 'The file is gone' }
)
