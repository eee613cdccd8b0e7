/** Replaces what PostgreSQL cannot store as text: NUL and unpaired surrogates. */
export const storable = (text: string): string => text.toWellFormed().replaceAll('\0', '\ufffd')

/** What `JSON.stringify` writes for a character that is not storable, and sometimes for others. */
const MAYBE_UNSTORABLE = /\\u(?:0000|d[89a-f])/

/** A value as JSON whose texts can all be stored. Strict readers refuse a whole message with an unpaired surrogate. */
export function storableJson(value: unknown): string {
  const json = JSON.stringify(value)
  return MAYBE_UNSTORABLE.test(json) ? JSON.stringify(withStorableTexts(value)) : json
}

function withStorableTexts(value: unknown): unknown {
  if (typeof value === 'string') return storable(value)
  if (Array.isArray(value)) return value.map(withStorableTexts)
  if (typeof value !== 'object' || value === null || value instanceof Date) return value
  const entries = Object.entries(value)
  return Object.fromEntries(entries.map(([name, of]) => [storable(name), withStorableTexts(of)]))
}

/**
 * A text with at least one character that can be seen: neither white space nor a control, nor one of the characters of no
 * width. Written out, because not every reader of our schemas knows the classes of Unicode.
 */
export const VISIBLE =
  '[^\\s\\u0000-\\u001f\\u007f-\\u009f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u202a-\\u202e\\u2060-\\u206f\\u2800\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0]'

const SOMETHING_VISIBLE = new RegExp(VISIBLE, 'u')

/** Whether a text says something. */
export const isVisible = (text: string): boolean => SOMETHING_VISIBLE.test(text)

/** The beginning of a text, cut at a whole character. Lengths of texts count code points, as JSON Schema does. */
export const cutChars = (text: string, charsMax: number): string =>
  text.length <= charsMax ? text : Array.from(text).slice(0, charsMax).join('')

/** The first line of a text, cut at a whole character: for a title, or the subject of a commit. */
export function firstLine(text: string, charsMax: number): string {
  const [line = ''] = text.trim().split('\n', 1)
  const chars = Array.from(line)
  return chars.length <= charsMax ? line : `${chars.slice(0, charsMax - 1).join('')}…`
}

/** The base address of a provider's API. People write Anthropic's with its version or without; its API needs it. */
export function modelAddress(provider: 'anthropic' | 'openai-compatible', baseUrl: string): string {
  const clean = baseUrl.replace(/\/+$/, '')
  return provider === 'anthropic' && !/\/v\d+$/.test(clean) ? `${clean}/v1` : clean
}
