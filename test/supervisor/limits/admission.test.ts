import t from 'tap'
import { projectId } from '#kernel/ids.ts'
import { silentLog } from '#kernel/log.ts'
import { createAdmission, type Admissible } from '../../../supervisor/pool/admission.ts'

const MB = 1_000_000

interface Slot extends Admissible {
  usedBytes: number | undefined
  readonly lastUsedMs: number
  busy: boolean
}

/** Slots whose agents use what the test says. The later it was opened, the later a slot was used. */
function givenSlots(memoryBytesMax: number) {
  let slots: Slot[] = []
  const admit = createAdmission<Slot>({
    agentsMax: 10,
    memoryBytesMax,
    clock: { monotonicMs: () => 3_600_000 },
    log: silentLog,
    slots: () => slots,
    idleFacts: ({ lastUsedMs, busy }, nowMs) => ({ nowMs, lastUsedMs, busy }),
    memoryOf: ({ usedBytes }) => Promise.resolve(usedBytes),
    leave(slot) {
      slots = slots.filter((other) => other !== slot)
      return Promise.resolve()
    }
  })
  return {
    slots: () => slots,
    async open(facts: { usedBytes?: number; busy?: boolean } = {}) {
      const slot: Slot = {
        projectId: projectId.create(),
        left: new AbortController(),
        isAdmitted: false,
        usedBytes: facts.usedBytes,
        lastUsedMs: slots.length * 1000,
        busy: facts.busy ?? false
      }
      slots.push(slot)
      await admit(slot)
      return slot
    }
  }
}

t.test('stops the agents that have been idle longest until the memory suffices', async (t) => {
  const { open, slots } = givenSlots(2500 * MB)
  const used = { usedBytes: 500 * MB }
  const [a, b, c] = [await open(used), await open(used), await open(used)]
  t.same(slots(), [a, b, c], '1.5 GB and 0.9 GB for another')
  const d = await open(used)
  t.same(slots(), [a, b, c, d])
  const e = await open({ usedBytes: 800 * MB })
  t.same(slots(), [b, c, d, e])
  e.usedBytes = 1600 * MB
  const f = await open(used)
  t.same(slots(), [e, f], '1.6 GB leave room for one')
})

t.test('refuses an agent when all others are busy', async (t) => {
  const { open, slots } = givenSlots(2000 * MB)
  const busy = await open({ usedBytes: 1200 * MB, busy: true })
  await t.rejects(open(), { reason: 'unavailable', message: /all memory that it has for them/ })
  busy.usedBytes = 500 * MB
  t.ok((await open()).isAdmitted)
  t.equal(slots().filter(({ isAdmitted }) => isAdmitted).length, 2)
})

t.test('one agent starts, however small the budget is', async (t) => {
  const { open, slots } = givenSlots(1)
  const first = await open({ usedBytes: 500 * MB })
  t.ok(first.isAdmitted)
  const second = await open()
  t.same(slots(), [second])
})
