import type { Log } from '#kernel/log.ts'

const NAMES_MAX = 100
const OTHER = 'other'

/** Under which name a word that we don't know is counted: each is logged once, and there are only so many names. */
export function createStrangers(log: Log): (name: string) => string {
  const known = new Set<string>()

  return (name) => {
    if (known.has(name)) return name
    if (known.size >= NAMES_MAX) return OTHER
    known.add(name)
    log.warn({ name }, 'kilo said something that we do not know')
    return name
  }
}
