import { parseAllowEntry, type AllowEntry } from '#net'
import { refuse } from './config-error.ts'
import { list, type Environment } from './readers.ts'

/** An empty list is a value here: it closes the way out, and so does a compose file that sets the variable to "". */
export function readEgressAllow(env: Environment): readonly AllowEntry[] | undefined {
  if (env['EGRESS_ALLOW'] === undefined) return undefined
  const entries = list(env, 'EGRESS_ALLOW').map((given) => {
    const parsed = parseAllowEntry(given)
    if ('entry' in parsed) return Object.freeze(parsed.entry)
    throw refuse('EGRESS_ALLOW', given, parsed.expected)
  })
  return Object.freeze(entries)
}
