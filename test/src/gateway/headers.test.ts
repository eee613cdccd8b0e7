import t from 'tap'
import { headersForProvider, retryAfterMs } from '../../../src/gateway/headers.ts'

t.test('reads how long a provider wants the agent to wait', (t) => {
  const now = new Date('2026-11-30T12:00:00Z')
  const cases: [Record<string, string>, number | undefined][] = [
    [{}, undefined],
    [{ 'retry-after': '7' }, 7000],
    [{ 'retry-after': ' 0.5 ' }, 500],
    [{ 'retry-after-ms': '250', 'retry-after': '7' }, 250],
    [{ 'retry-after': 'Mon, 30 Nov 2026 12:10:00 GMT' }, 600_000],
    [{ 'retry-after': 'Mon, 30 Nov 2026 11:00:00 GMT' }, 0],
    [{ 'retry-after': 'soon' }, undefined],
    [{ 'retry-after': '-5' }, undefined]
  ]
  for (const [headers, ms] of cases)
    t.equal(retryAfterMs(headers, now), ms, JSON.stringify(headers))
  t.end()
})

t.test('sends a provider only headers that cost nothing', (t) => {
  const sent = headersForProvider({
    host: 'gateway',
    authorization: 'Bearer gw_token',
    'x-kilowatt-turn': 'gt_token',
    'content-type': 'application/json',
    'x-session-id': 'ses_1',
    'accept-encoding': 'gzip',
    'x-litellm-api-base': 'https://elsewhere',
    'anthropic-beta':
      'interleaved-thinking-2025-05-14, context-1m-2025-08-07,extended-cache-ttl-2025-04-11'
  })
  t.same(sent, {
    'content-type': 'application/json',
    'x-session-id': 'ses_1',
    'anthropic-beta': 'interleaved-thinking-2025-05-14',
    'accept-encoding': 'identity'
  })
  t.end()
})
