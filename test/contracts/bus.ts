import t from 'tap'
import type { Bus } from '#ports/bus.ts'

/** The contract of every bus. */
export function busContract(name: string, open: () => Promise<Bus>) {
  const soon = () => new Promise((resolve) => setTimeout(resolve, 50))

  t.test(`${name}: a bell reaches every listener of its topic, and no other`, async (t) => {
    const bus = await open()
    const reached: string[] = []
    bus.listen('a', () => reached.push('first'))
    bus.listen('a', () => reached.push('second'))
    bus.listen('b', () => reached.push('other'))
    bus.ring('a')
    await soon()
    t.same(reached.toSorted(), ['first', 'second'])
  })

  t.test(`${name}: a bell does not reach a removed listener`, async (t) => {
    const bus = await open()
    let rings = 0
    const stop = bus.listen('a', () => (rings += 1))
    stop()
    bus.ring('a')
    await soon()
    t.equal(rings, 0)
  })
}
