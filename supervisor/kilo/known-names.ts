import type { Log } from '#kernel/log.ts'
import { EVENT_DECISIONS, PART_DECISIONS, STATUS_DECISIONS, type Decision } from './decisions.ts'

type Handled<Decisions> = {
  [Name in keyof Decisions]: Decisions[Name] extends { ignored: string } ? never : Name
}[keyof Decisions]

/** The events that a turn handles. `sync` belongs to the sequence tracker. */
export type HandledEvent = Exclude<Handled<typeof EVENT_DECISIONS>, 'sync'>

/** Finds the decision about a name; families end in `.*`. */
function lookup(decisions: Record<string, Decision>) {
  const names = new Map(Object.entries(decisions))
  const families = [...names].flatMap(([name, decision]): [string, Decision][] =>
    name.endsWith('.*') ? [[name.slice(0, -1), decision]] : []
  )
  return (name: string): Decision | undefined =>
    names.get(name) ?? families.find(([prefix]) => name.startsWith(prefix))?.[1]
}

export const decisionOfEvent = lookup(EVENT_DECISIONS)
export const decisionOfPart = lookup(PART_DECISIONS)
export const decisionOfStatus = lookup(STATUS_DECISIONS)

const isIgnored = (decision: Decision | undefined) =>
  decision !== undefined && 'ignored' in decision

/** Known names that are ignored on purpose: they are not reported as unrecognised. */
export const isIgnoredEvent = (name: string) => name === 'sync' || isIgnored(decisionOfEvent(name))
export const isIgnoredPart = (type: string) => isIgnored(decisionOfPart(type))
export const isIgnoredStatus = (type: string) => isIgnored(decisionOfStatus(type))

const NAMES_MAX = 100
const OTHER = 'other'

/** The name under which an unrecognised event is counted: each is logged once, and their number is limited. */
export function createUnrecognisedNames(log: Log): (name: string) => string {
  const known = new Set<string>()

  return (name) => {
    if (known.has(name)) return name
    if (known.size >= NAMES_MAX) return OTHER
    known.add(name)
    log.warn({ name }, 'kilo sent an unrecognised event')
    return name
  }
}
