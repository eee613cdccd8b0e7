import { refuse, refuseSecret } from './config-error.ts'
import type { SettingName } from './settings.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** The text of a setting. An empty one counts as not given, since compose files set absent variables to "". */
export function text(env: Environment, name: SettingName): string | undefined {
  return env[name]?.trim() || undefined
}

export function list(env: Environment, name: SettingName): string[] {
  const items = text(env, name)?.split(',') ?? []
  return items.map((item) => item.trim()).filter((item) => item !== '')
}

export function wholeNumber<Standard extends number | undefined>(
  env: Environment,
  name: SettingName,
  bounds: { readonly from: number; readonly to: number; readonly standard: Standard }
): number | Standard {
  const given = text(env, name)
  if (given === undefined) return bounds.standard

  const number = Number(given)
  if (!/^\d+$/.test(given) || number < bounds.from || number > bounds.to) {
    throw refuse(name, given, `a whole number from ${bounds.from} to ${bounds.to}`)
  }
  return number
}

export function oneOf<Word extends string>(
  env: Environment,
  name: SettingName,
  words: readonly Word[],
  standard: Word
): Word {
  const given = text(env, name)
  if (given === undefined) return standard

  const word = words.find((word) => word === given)
  if (!word) throw refuse(name, given, `one of ${words.join(', ')}`)
  return word
}

/** A URL that may contain a password, so errors do not show it. */
export function secretUrl(given: string, name: SettingName, protocols: readonly string[]): string {
  const url = URL.parse(given)
  if (!url?.hostname || !protocols.includes(url.protocol)) {
    throw refuseSecret(name, `a URL like ${protocols[0]}//user:password@host:port`)
  }
  return given
}

/** The URL of an HTTP service, without a slash at the end. */
export function httpUrl(env: Environment, name: SettingName): string | undefined {
  const given = text(env, name)
  if (given === undefined) return undefined

  const url = URL.parse(given)
  if (!url?.hostname || !['http:', 'https:'].includes(url.protocol)) {
    throw refuse(name, given, 'a URL that begins with http:// or https://')
  }
  if (url.username || url.password || url.search || url.hash) {
    throw refuseSecret(name, 'a URL without a user, a password, a query or a fragment')
  }
  return url.href.replace(/\/+$/, '')
}

/** A key that can be sent in a header: no spaces, no control characters. */
export function secret(env: Environment, name: SettingName, charsMin = 1): string | undefined {
  const given = text(env, name)
  if (given === undefined) return undefined

  const usable = given.length >= charsMin && /^[\x21-\x7e]+$/.test(given)
  const atLeast = charsMin > 1 ? `at least ${charsMin} ` : ''
  if (!usable) throw refuseSecret(name, `${atLeast}printable ASCII characters without spaces`)
  return given
}
