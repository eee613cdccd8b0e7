/** People write Anthropic's address with its version or without; its API wants it, and so does Kilo's library. */
export function modelAddress(provider: 'anthropic' | 'openai-compatible', baseUrl: string): string {
  const clean = baseUrl.replace(/\/+$/, '')
  return provider === 'anthropic' && !/\/v\d+$/.test(clean) ? `${clean}/v1` : clean
}
