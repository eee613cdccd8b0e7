import * as fc from 'fast-check'
import t, { type Test } from 'tap'
import { createLedger } from '#billing'
import type { Db } from '#db'
import { jobId, transactionId, userId } from '#kernel/ids.ts'
import { microcredits } from '#kernel/money.ts'

const amount = fc.bigInt({ min: 1n, max: 120n })
const slot = fc.nat({ max: 4 })
const Command = fc.oneof(
  fc.record({ do: fc.constant('grant' as const), slot, amount }),
  fc.record({ do: fc.constant('hold' as const), slot, amount }),
  fc.record({ do: fc.constant('extend' as const), slot, amount, step: fc.nat({ max: 2 }) }),
  fc.record({
    do: fc.constant('resolve' as const),
    slot,
    amount,
    userPays: fc.constantFrom('used' as const, 'nothing' as const)
  })
)
type Command = typeof Command extends fc.Arbitrary<infer C> ? C : never

/** A ledger of one wallet in memory, written to be obviously right. */
function createModel() {
  const grants = new Map<number, bigint>()
  const holds = new Map<number, { first: bigint; steps: Map<number, bigint>; done: boolean }>()
  let [balance, reserved, spent, lost] = [0n, 0n, 0n, 0n]

  const take = (n: bigint) => {
    if (n > balance) return false
    balance -= n
    reserved += n
    return true
  }

  const run = (command: Command): string => {
    const { slot, amount } = command
    const hold = holds.get(slot)
    switch (command.do) {
      case 'grant': {
        const before = grants.get(slot)
        if (before !== undefined) return before === amount ? 'replayed' : 'reused'
        grants.set(slot, amount)
        balance += amount
        return 'granted'
      }
      case 'hold':
        if (hold) return hold.first === amount ? 'replayed' : 'refused'
        if (!take(amount)) return `short of ${amount - balance}`
        holds.set(slot, { first: amount, steps: new Map(), done: false })
        return 'held'
      case 'extend': {
        if (!hold) return 'refused'
        const before = hold.steps.get(command.step)
        if (before !== undefined) return before === amount ? 'held' : 'refused'
        if (hold.done) return 'resolved'
        if (!take(amount)) return `short of ${amount - balance}`
        hold.steps.set(command.step, amount)
        return 'held'
      }
      case 'resolve': {
        if (!hold) return 'refused'
        if (hold.done) return 'already'
        const whole = [...hold.steps.values()].reduce((a, b) => a + b, hold.first)
        const charged = command.userPays === 'nothing' ? 0n : amount < whole ? amount : whole
        hold.done = true
        reserved -= whole
        spent += charged
        lost += amount - charged
        balance += whole - charged
        return 'resolved'
      }
    }
  }
  return { run, state: () => ({ balance, reserved, spent, lost }) }
}

/** Whatever is asked of it in whatever order, the ledger answers and ends as the model does. */
export function ledgerModelContract(name: string, open: (t: Test) => Promise<Db>): void {
  t.test(`${name}: random commands, against a model in memory`, async (t) => {
    const db = await open(t)
    const ledger = createLedger()

    await fc.assert(
      fc.asyncProperty(fc.array(Command, { maxLength: 40, size: 'max' }), async (commands) => {
        const user = userId.create()
        const grants = Array.from({ length: 5 }, () => transactionId.create())
        const jobs = Array.from({ length: 5 }, () => jobId.create())
        const lostBefore = await ledger.platformLoss(db)
        const model = createModel()
        await ledger.openWallet(db, user)

        const run = async (command: Command) => {
          const holdId = jobs[command.slot] ?? ''
          const amount = microcredits(command.amount)
          switch (command.do) {
            case 'grant': {
              const id = grants[command.slot] ?? ''
              return ledger.grant(db, { id, userId: user, amount, memo: {} })
            }
            case 'hold':
              return ledger.hold(db, { holdId, userId: user, amount, memo: {} })
            case 'extend':
              return ledger.extend(db, { holdId, step: String(command.step), amount })
            case 'resolve': {
              const { userPays } = command
              return ledger.resolve(db, { holdId, cost: amount, userPays, reason: 'm', memo: {} })
            }
          }
        }

        for (const [i, command] of commands.entries()) {
          const answer = await run(command).catch(() => ({ kind: 'refused' as const }))
          const said = answer.kind === 'short' ? `short of ${answer.missing}` : answer.kind
          const expected = model.run(command)
          if (said !== expected) throw new Error(`${i}: the ledger said ${said}, not ${expected}`)
        }

        const lost = (await ledger.platformLoss(db)) - lostBefore
        t.same({ ...(await ledger.wallet(db, user)), lost }, model.state())
        const off = Object.entries(await ledger.audit(db)).filter(([, sum]) => sum !== '0')
        t.same(off, [])
      }),
      { numRuns: 60 }
    )
  })
}
