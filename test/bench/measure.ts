/** One way of doing the same thing: answers how long it took, in milliseconds. */
export type Run = () => Promise<number>

export const median = (numbers: readonly number[]): number => {
  const sorted = numbers.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  return sorted.length % 2 === 1
    ? sorted[Math.floor(middle)]!
    : (sorted[middle - 1]! + sorted[middle]!) / 2
}

export async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now()
  await work()
  return performance.now() - startedAt
}

/**
 * Runs all ways in turn, round by round, so that what else the machine does falls on each alike. The first round
 * warms up and is not counted.
 */
export async function sideBySide<Name extends string>(
  ways: Record<Name, Run>,
  rounds: number
): Promise<Record<Name, number[]>> {
  const names = Object.keys(ways) as Name[]
  const taken = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<
    Name,
    number[]
  >
  for (let round = 0; round <= rounds; round += 1) {
    for (const name of names) {
      const ms = await ways[name]()
      if (round > 0) taken[name].push(ms)
    }
  }
  return taken
}

/** The median of the rounds' own ratios: noise that lasts longer than a round falls out. */
export const ratio = (a: readonly number[], b: readonly number[]): number =>
  median(a.map((ms, round) => ms / b[round]!))

/** The value that a part of all numbers (0.99: of a hundred, ninety-nine) does not exceed. */
export const quantile = (numbers: readonly number[], part: number): number => {
  const sorted = numbers.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.ceil(part * sorted.length) - 1)]!
}
