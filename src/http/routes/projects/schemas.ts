import { Type, type Static } from 'typebox'
import { LIMITS } from '#kernel/limits.ts'
import { Review } from '#kernel/frames.ts'
import { Nullable, OnlyThese, Time, VisibleText } from '#kernel/schema-kit.ts'

const Name = VisibleText(200)

export const NewProject = Type.Object(
  {
    name: Name,
    template: Type.Optional(Type.String({ minLength: 1, maxLength: 100 })),
    files: Type.Optional(
      Type.Array(Type.Object({ path: Type.String(), content: Type.String() }, OnlyThese), {
        maxItems: LIMITS.filesPerCreateMax
      })
    ),
    git: Type.Optional(
      Type.Object(
        {
          url: Type.String({ minLength: 1, maxLength: 2000 }),
          branch: Type.Optional(Type.String({ minLength: 1, maxLength: 1000 }))
        },
        OnlyThese
      )
    ),
    review: Type.Optional(Review)
  },
  OnlyThese
)
export type NewProject = Static<typeof NewProject>

export const ProjectChanges = Type.Object(
  { name: Type.Optional(Name), review: Type.Optional(Review) },
  OnlyThese
)

export const ProjectView = Type.Object(
  {
    id: Type.String(),
    name: Type.String(),
    head: Nullable(
      Type.String({ description: 'current commit of main; null: the workspace cannot be read' })
    ),
    review: Review,
    createdAt: Time
  },
  { description: 'A project' }
)
export type ProjectView = Static<typeof ProjectView>
