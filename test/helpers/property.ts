import { randomInt } from 'node:crypto'
import * as fc from 'fast-check'
import { createRandom } from './random.ts'

/**
 * The seed of everything random in this run. `npm test` picks a fresh one and prints it first; TEST_SEED repeats it.
 */
export const SEED = Number(process.env['TEST_SEED'] ?? pickSeed())

/** True for `npm run test:deep`, which tries as many cases as time allows, and not only as many as `npm test` has. */
export const isDeep = process.env['TEST_DEPTH'] === 'deep'

export interface Runs {
  /** Cases that `npm test` tries: a fresh sample in every run. */
  readonly usual: number
  /** Cases that `npm run test:deep` tries. */
  readonly deep: number
}

export const runsOf = ({ usual, deep }: Runs): number => (isDeep ? deep : usual)

/**
 * A fresh sample of the cases in `npm test`, in their order; all of them in `npm run test:deep`. Different `lane`s take
 * different samples.
 */
export function sampleOf<T>(cases: readonly T[], usual: number, lane = 0): T[] {
  const random = createRandom(SEED + lane)
  const ranks = cases.map(() => random())
  const last = ranks.toSorted((a, b) => a - b)[runsOf({ usual, deep: cases.length }) - 1] ?? 1
  return cases.filter((_, at) => ranks[at]! <= last)
}

const RUNS_DEFAULT: Runs = { usual: 100, deep: 1000 }

/**
 * Throws the smallest counterexample that fast-check finds. The error names the seed and the path that repeat it.
 * Checks of one property that run concurrently pass different `lane`s, so that they try different cases.
 */
export function check<T>(property: fc.IAsyncProperty<T>, runs?: Runs, lane?: number): Promise<void>
export function check<T>(property: fc.IProperty<T>, runs?: Runs, lane?: number): void
export function check<T>(
  property: fc.IRawProperty<T>,
  runs: Runs = RUNS_DEFAULT,
  lane = 0
): void | Promise<void> {
  return fc.assert(property, { seed: SEED + lane, numRuns: runsOf(runs) })
}

function pickSeed(): number {
  const seed = randomInt(2 ** 31)
  process.stdout.write(`# TEST_SEED=${seed}\n`)
  return seed
}
