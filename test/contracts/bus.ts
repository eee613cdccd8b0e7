import t from 'tap'
import type { Bus } from '#ports/bus.ts'

/** What every bell promises to those who listen. */
export function busContract(name: string, open: () => Promise<Bus>) {
  const soon = () => new Promise((resolve) => setTimeout(resolve, 50))

  t.test(
    `${name}: a bell is heard by all who listen to its topic, and by nobody else`,
    async (t) => {
      const bus = await open()
      const heard: string[] = []
      bus.listen('a', () => heard.push('first'))
      bus.listen('a', () => heard.push('second'))
      bus.listen('b', () => heard.push('other'))
      bus.ring('a')
      await soon()
      t.same(heard.toSorted(), ['first', 'second'])
    }
  )

  t.test(`${name}: whoever has stopped listening hears nothing`, async (t) => {
    const bus = await open()
    let heard = 0
    const stop = bus.listen('a', () => (heard += 1))
    stop()
    bus.ring('a')
    await soon()
    t.equal(heard, 0)
  })
}
