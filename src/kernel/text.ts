/** Replaces what PostgreSQL cannot store as text: NUL and unpaired surrogates. */
export const storable = (text: string): string => text.toWellFormed().replaceAll('\0', '\ufffd')

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
