import type { PriceList } from '#billing'
import { AppError } from '#kernel/errors.ts'

/** Words that people use for two of Kilo's agents. */
const OTHER_NAMES: Readonly<Record<string, string>> = { coder: 'code', architect: 'plan' }

const DEFAULT_MODE = 'code'

/** Kilo accepts an agent that it does not have and then does nothing, so the choice is checked before. */
export function chooseMode(known: readonly string[], wanted = DEFAULT_MODE): string {
  const mode = Object.hasOwn(OTHER_NAMES, wanted) ? OTHER_NAMES[wanted]! : wanted
  if (known.includes(mode)) return mode
  throw new AppError('unknown_mode', `There is no mode ${wanted}`, { known })
}

/** A model that has a price, of a provider that has a key: nothing is ever done at a price of zero. */
export function chooseModel(
  prices: PriceList,
  settings: { readonly defaultModel: string; readonly providers: readonly string[] },
  wanted = settings.defaultModel
): string {
  const known = prices
    .models()
    .filter((model) => settings.providers.some((provider) => model.startsWith(`${provider}/`)))
  if (known.includes(wanted)) return wanted
  const why = known.length > 0 ? '' : ': no model provider is switched on (see ANTHROPIC_API_KEY)'
  throw new AppError('unknown_model', `There is no model ${wanted}${why}`, { known })
}
