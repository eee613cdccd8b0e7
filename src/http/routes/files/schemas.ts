import { Type } from 'typebox'
import { Nullable, OneOf, OnlyThese, VisibleText } from '#kernel/schema-kit.ts'
import { IdParams } from '../../schemas.ts'

const Sha = Type.String({ description: 'git blob id of the content' })
const Commit = Type.String({ description: 'the new commit of main' })
const Encoding = Type.Enum(['utf-8', 'base64'])
const Tags = (description: string) => Type.Optional(Type.String({ maxLength: 2000, description }))

const PathEncoding = Type.Optional(
  Type.Literal('percent', {
    description: 'the name is no UTF-8: its bytes are written as in a URL, `%FF`'
  })
)
const Path = { path: Type.String(), pathEncoding: PathEncoding }
export const FileQuery = Type.Object({ pathEncoding: PathEncoding })

export const FileParams = Type.Object({
  id: IdParams.properties.id,
  '*': Type.String({ description: 'path of the file, with `/` between folders' })
})

export const IfMatch = Type.Object({
  'if-match': Tags(
    'save or delete only if the file has this content: `"<sha>"`, or `*` for any existing file'
  )
})
export const IfNoneMatch = Type.Object({
  'if-none-match': Tags('304 if the file still has this content: `"<sha>"`')
})
export const Preconditions = Type.Object({
  ...IfMatch.properties,
  'if-none-match': Tags('`*`: save only if the file does not exist')
})

export const FileList = Type.Object(
  {
    head: Type.String(),
    files: Type.Array(
      Type.Object({
        ...Path,
        size: Type.Integer(),
        sha: Nullable(Sha),
        kind: OneOf('file', 'symlink', 'folder', 'fifo', 'socket', 'device'),
        target: Type.Optional(
          Type.String({ description: 'of a symbolic link; it is never followed' })
        )
      })
    )
  },
  { description: 'The files, without those that git ignores' }
)
export const FileView = Type.Object(
  {
    ...Path,
    content: Type.String(),
    encoding: Encoding,
    sha: Sha,
    size: Type.Integer({ description: 'bytes' })
  },
  { description: 'The file' }
)
export const Unchanged = Type.Null({ description: 'The file is unchanged' })

export const FileToSave = Type.Object(
  {
    content: Type.String(),
    encoding: Type.Optional(Encoding),
    message: Type.Optional(VisibleText(10_000, { description: 'commit message' }))
  },
  OnlyThese
)
export const Saved = Type.Object(
  {
    ...Path,
    sha: Sha,
    commit: Nullable(Commit),
    ignored: Type.Optional(
      Type.Literal(true, { description: 'main ignores the file: it is written and not committed' })
    )
  },
  { description: 'The file is saved; 201: it was created' }
)
export const Deleted = Type.Object(
  { ...Path, commit: Commit },
  { description: 'The file is deleted' }
)
