import type { KiloPayload } from './kilo-schemas.ts'

/** The session that an event comes from, wherever Kilo says so; undefined when it does not. */
export function sessionOf({ properties }: Pick<KiloPayload, 'properties'>): string | undefined {
  const { sessionID, part, info } = fieldsOf(properties)
  return [sessionID, fieldsOf(part)['sessionID'], fieldsOf(info)['sessionID']].find(
    (id) => typeof id === 'string'
  )
}

const fieldsOf = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? { ...value } : {}
