import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { priceOf, readPriceList } from '#billing'
import { NO_USAGE } from '#kernel/agent-events.ts'

const model = { input: '3', output: '15', cacheRead: '0.30', cacheWrite: '3.75' }
const list = { version: '1', creditUsd: '0.01', models: { 'a/b': model } }

t.test('the shipped list prices what the product starts with', async (t) => {
  const prices = await readPriceList()
  for (const name of [
    'anthropic/claude-sonnet-4-5',
    'anthropic/scripted',
    'openai-compatible/scripted'
  ]) {
    t.ok(prices.models().includes(name), name)
    t.match(prices.find(name), {
      input: 3_000_000n,
      output: 15_000_000n,
      cacheRead: 300_000n,
      cacheWrite: 3_750_000n,
      creditPicoUsd: 10_000_000_000n
    })
  }
  t.match(prices.find('anthropic/scripted'), { contextTokens: 200_000, outputTokens: 2000 })
  t.equal(prices.creditUsd, '0.01')
  t.ok(prices.version)
  t.equal(prices.find('anthropic/unheard-of'), undefined)
  t.equal(prices.find('toString'), undefined)
})

t.test('in the shipped list nothing is free, and longer prompts are never cheaper', async (t) => {
  const prices = await readPriceList()
  for (const name of prices.models()) {
    const price = prices.find(name)
    if (!price) return t.fail(name)
    let before = { input: 1n, output: 1n, cacheRead: 1n, cacheWrite: 1n }
    for (const rates of [price, ...price.tiers]) {
      t.ok(rates.input >= before.input && rates.output >= before.output, name)
      t.ok(rates.cacheRead >= before.cacheRead && rates.cacheWrite >= before.cacheWrite, name)
      t.ok(rates.cacheRead < rates.input && rates.input < rates.output, name)
      before = rates
    }
  }
})

t.test("one's own list, with tiers and a credit of one's own", async (t) => {
  const path = await write(t, {
    ...list,
    creditUsd: '1',
    models: {
      'openai-compatible/meta/llama:8b': {
        ...model,
        input: '0.000001',
        output: '0',
        tiers: [{ aboveTokens: 1000, ...model, input: '999999.999999' }],
        contextTokens: 8192
      }
    }
  })
  const price = (await readPriceList(path)).find('openai-compatible/meta/llama:8b')
  t.match(price, { input: 1n, output: 0n, creditPicoUsd: 1_000_000_000_000n, contextTokens: 8192 })
  t.notOk(price && 'outputTokens' in price)
  t.equal(price && priceOf({ ...NO_USAGE, input: 1 }, price), 1n, 'a trillionth of a dollar')
  t.equal(price && priceOf({ ...NO_USAGE, input: 1001 }, price), 1_001_000_000n)
})

t.test('a bad list is refused in one line that names the file and the key', async (t) => {
  for (const [says, bad, expected] of [
    ['a number for a price', { ...list, models: { 'a/b': { ...model, input: 3 } } }, 'a/b › input'],
    ['below zero', { ...list, models: { 'a/b': { ...model, output: '-1' } } }, 'a/b › output'],
    ['no price', { ...list, models: { 'a/b': { ...model, output: '' } } }, 'a/b › output'],
    ['too fine', { ...list, models: { 'a/b': { ...model, input: '0.0000001' } } }, 'a/b › input'],
    ['an exponent', { ...list, models: { 'a/b': { ...model, input: '1e3' } } }, 'a/b › input'],
    ['a missing price', { ...list, models: { 'a/b': { input: '3', output: '15' } } }, 'cacheRead'],
    ['a mistyped key', { ...list, models: { 'a/b': { ...model, cachRead: '1' } } }, 'cachRead'],
    ['no provider', { ...list, models: { b: model } }, 'models › b'],
    ['no models', { ...list, models: {} }, 'models'],
    ['a worthless credit', { ...list, creditUsd: '0.000' }, 'creditUsd'],
    ['a credit as a number', { ...list, creditUsd: 0.01 }, 'creditUsd'],
    ['no version', { creditUsd: '0.01', models: list.models }, 'version'],
    ['a key too many', { ...list, currency: 'EUR' }, 'currency'],
    ['no tokens', { ...list, models: { 'a/b': { ...model, contextTokens: 0 } } }, 'contextTokens'],
    [
      'tiers that fall',
      {
        ...list,
        models: {
          'a/b': {
            ...model,
            tiers: [
              { aboveTokens: 2, ...model },
              { aboveTokens: 2, ...model }
            ]
          }
        }
      },
      'a/b › tiers'
    ],
    [
      'a tier that is half a tier',
      { ...list, models: { 'a/b': { ...model, tiers: [{ aboveTokens: 2, input: '1' }] } } },
      'tiers › 0'
    ],
    ['an array', [], 'the list'],
    ['null', null, 'the list']
  ] as const) {
    const path = await write(t, bad)
    const { message } = await refusal(path)
    t.ok(message.startsWith(`price list ${path}`), says)
    t.ok(message.includes(expected), `${says}: ${message}`)
    t.notOk(message.includes('\n'), says)
  }
})

t.test('a list that is not there, or not JSON', async (t) => {
  const dir = t.testdir({ 'list.json': '{ "version": ' })
  t.match(await refusal(join(dir, 'none.json')), {
    message: /none\.json cannot be read \(ENOENT\)/
  })
  t.match(await refusal(dir), { message: /cannot be read \(EISDIR\)/ })
  t.match(await refusal(join(dir, 'list.json')), { message: /list\.json is not JSON: [^\n]+$/ })
})

async function write(t: Test, content: unknown): Promise<string> {
  const path = join(t.testdir(), 'prices.json')
  await writeFile(path, JSON.stringify(content))
  return path
}

async function refusal(path: string): Promise<Error> {
  try {
    await readPriceList(path)
  } catch (err) {
    return err as Error
  }
  throw new Error(`${path} was accepted`)
}
