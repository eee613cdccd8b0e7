import * as fc from 'fast-check'

/** What an agent does to the worktree. `secret` files are those of people, which it leaves alone. */
export type Act =
  | {
      readonly kind: 'write' | 'delete' | 'folder' | 'fifo' | 'link' | 'unreadable'
      readonly path: string
    }
  | { readonly kind: 'ignore'; readonly rules: string }
  | { readonly kind: 'repository' | 'close' }

export type Step =
  | { readonly kind: 'save' | 'remove' | 'tool'; readonly path: string; readonly crash: number }
  | { readonly kind: 'secret'; readonly path: string; readonly crash: number }
  | { readonly kind: 'ignore'; readonly rules: string; readonly crash: number }
  | {
      readonly kind: 'job'
      readonly acts: readonly Act[]
      readonly saves: readonly string[]
      readonly secrets: readonly string[]
      readonly actsAfter: readonly Act[]
      readonly end: 'merge' | 'hold' | 'abandon'
      readonly continues: boolean
      readonly crash: number
    }
  | {
      readonly kind: 'merge' | 'discard' | 'revert'
      readonly which: number
      readonly crash: number
    }

export const PATHS = ['a', 'b', 'dir/x', 'dir/sub/y', 'cache/z', 'dir', 'made.log']
/** Ignored by the first rules; only people write them. */
export const SECRETS = ['.env', 'private/key']
const RULES = [
  '.env\nprivate/\n*.log\n',
  '.env\nprivate/\ncache/\n',
  '',
  '!.env\n!private/\n',
  'dir/\n'
]
/** People keep their secrets ignored. */
const PEOPLES_RULES = RULES.slice(0, 2)

const path = fc.constantFrom(...PATHS)
const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('write' as const), path }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'delete' as const,
        'folder' as const,
        'fifo' as const,
        'link' as const,
        'unreadable' as const
      ),
      path
    })
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('ignore' as const), rules: fc.constantFrom(...RULES) })
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constantFrom('repository' as const, 'close' as const) })
  }
)
/** Most steps end; some stop before one of their first git commands. */
const crash = fc.oneof(
  { weight: 3, arbitrary: fc.constant(Infinity) },
  { weight: 1, arbitrary: fc.nat({ max: 14 }) }
)
const acts = fc.array(act, { maxLength: 4 })

export const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom('save' as const, 'remove' as const, 'tool' as const),
      path,
      crash
    })
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('secret' as const),
      path: fc.constantFrom(...SECRETS),
      crash
    })
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('ignore' as const),
      rules: fc.constantFrom(...PEOPLES_RULES),
      crash
    })
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('job' as const),
      acts,
      saves: fc.array(path, { maxLength: 2 }),
      secrets: fc.array(fc.constantFrom(...SECRETS), { maxLength: 1 }),
      actsAfter: acts,
      end: fc.constantFrom('merge' as const, 'merge' as const, 'hold' as const, 'abandon' as const),
      continues: fc.boolean(),
      crash
    })
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom('merge' as const, 'discard' as const, 'revert' as const),
      which: fc.nat({ max: 5 }),
      crash
    })
  }
)
