import { Type, type TSchema } from 'typebox'

/** For objects that a client sends: a field that the schema does not have is refused. */
export const OnlyThese = { additionalProperties: false } as const

export const Time = Type.String({ format: 'date-time' })

export const Nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()])

export const OneOf = <Words extends string[]>(...words: [...Words]) => Type.Enum(words)
