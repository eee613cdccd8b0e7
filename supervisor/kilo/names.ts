import type { Log } from '#kernel/log.ts'
import { EVENT_DECISIONS, PART_DECISIONS, STATUS_DECISIONS, type Decision } from './decisions.ts'

type Heard<Decisions> = {
  [Name in keyof Decisions]: Decisions[Name] extends { nothing: string } ? never : Name
}[keyof Decisions]

/** The events that mean something to a turn. `sync` is for whoever watches that nothing is lost. */
export type HeardEvent = Exclude<Heard<typeof EVENT_DECISIONS>, 'sync'>

/** Finds what was decided of a name; families end in `.*`. */
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

const isNothing = (decision: Decision | undefined) =>
  decision !== undefined && 'nothing' in decision

/** Words that we know and have no use for: they are no surprise, and are not reported. */
export const isIgnoredEvent = (name: string) => name === 'sync' || isNothing(decisionOfEvent(name))
export const isIgnoredPart = (type: string) => isNothing(decisionOfPart(type))
export const isIgnoredStatus = (type: string) => isNothing(decisionOfStatus(type))

const NAMES_MAX = 100
const OTHER = 'other'

/** Under which name a word that we don't know is counted: each is logged once, and there are only so many names. */
export function createUnrecognisedNames(log: Log): (name: string) => string {
  const known = new Set<string>()

  return (name) => {
    if (known.has(name)) return name
    if (known.size >= NAMES_MAX) return OTHER
    known.add(name)
    log.warn({ name }, 'kilo said something that we do not know')
    return name
  }
}
