/** How much each name has of something; names with nothing take no memory. */
export interface Counts {
  of(name: string): number
  /** A negative number takes away. */
  add(name: string, more: number): void
}

export function createCounts(): Counts {
  const counts = new Map<string, number>()
  return {
    of: (name) => counts.get(name) ?? 0,
    add(name, more) {
      const count = (counts.get(name) ?? 0) + more
      if (count > 0) counts.set(name, count)
      else counts.delete(name)
    }
  }
}
