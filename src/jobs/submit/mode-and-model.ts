import type { PriceList } from '#billing'
import { AppError } from '#kernel/errors.ts'

/** Other names for two of Kilo's agents, which clients may use. */
const OTHER_NAMES: Readonly<Record<string, string>> = { coder: 'code', architect: 'plan' }

const DEFAULT_MODE = 'code'

/** Kilo accepts the name of an agent that it does not have, and then does nothing: the name is checked here. */
export function chooseMode(known: readonly string[], wanted = DEFAULT_MODE): string {
  const mode = Object.hasOwn(OTHER_NAMES, wanted) ? OTHER_NAMES[wanted]! : wanted
  if (known.includes(mode)) return mode
  throw new AppError(
    'unknown_mode',
    `Unknown mode ${wanted}: expected one of ${known.join(', ')}`,
    { known }
  )
}

/** The model of a job: one that has a price, of a provider that has a key. */
export function chooseModel(
  prices: PriceList,
  settings: { readonly defaultModel: string; readonly providers: readonly string[] },
  wanted = settings.defaultModel
): string {
  const known = prices
    .models()
    .filter((model) => settings.providers.some((provider) => model.startsWith(`${provider}/`)))
  if (known.includes(wanted)) return wanted
  const expected =
    known.length > 0
      ? `expected one of ${known.join(', ')}`
      : 'no model provider is configured (set ANTHROPIC_API_KEY)'
  throw new AppError('unknown_model', `Unknown model ${wanted}: ${expected}`, { known })
}
