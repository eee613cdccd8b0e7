import { Type, type TSchema } from 'typebox'
import { VISIBLE } from './text.ts'

/** For objects that a client sends: a field that the schema does not have is refused. */
export const OnlyThese = { additionalProperties: false } as const

export const Time = Type.String({ format: 'date-time' })

export const Nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()])

export const OneOf = <Words extends string[]>(...words: [...Words]) => Type.Enum(words)

/** A text that says something. Its length counts code points. */
export const VisibleText = (charsMax: number, more: { readonly description?: string } = {}) =>
  Type.String({ minLength: 1, maxLength: charsMax, pattern: VISIBLE, ...more })
