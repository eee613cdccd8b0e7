import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import t, { type Test } from 'tap'
import { createLedger } from '#billing'
import type { Db } from '#db'
import { jobId, transactionId, userId } from '#kernel/ids.ts'
import { microcredits } from '#kernel/money.ts'
import { letPass } from './goodwill-contract.ts'
import { check, runsOf, type Runs } from '../helpers/property.ts'

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
    userPays: fc.constantFrom('used' as const, 'nothing' as const, 'goodwill' as const)
  }),
  // No sum of these is an hour or a day: the time that a test takes decides nothing.
  fc.record({ do: fc.constant('wait' as const), steps: fc.integer({ min: 1, max: 60 }) })
)
type Command = typeof Command extends fc.Arbitrary<infer C> ? C : never

const BUDGET = { creditsPerDay: microcredits(150n), jobsPerHour: 2 }
const WAIT_MINUTES = 25
const HOUR_MINUTES = 60

/** A ledger of one wallet in memory, written to be obviously right. */
function createModel() {
  const grants = new Map<number, bigint>()
  const holds = new Map<number, { first: bigint; steps: Map<number, bigint>; done: boolean }>()
  let [balance, reserved, spent, lost] = [0n, 0n, 0n, 0n]

  let minutes = 0
  const refunds: { at: number; amount: bigint }[] = []

  const decideGoodwill = (due: bigint): boolean => {
    const day = refunds.filter(({ at }) => minutes - at < 24 * HOUR_MINUTES)
    const hour = refunds.filter(({ at }) => minutes - at < HOUR_MINUTES)
    const total = day.reduce((sum, { amount }) => sum + amount, due)
    if (total > BUDGET.creditsPerDay || hour.length >= BUDGET.jobsPerHour) return false
    refunds.push({ at: minutes, amount: due })
    return true
  }

  const take = (n: bigint) => {
    if (n > balance) return false
    balance -= n
    reserved += n
    return true
  }

  const run = (command: Command): string => {
    if (command.do === 'wait') {
      minutes += command.steps * WAIT_MINUTES
      return 'waited'
    }
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
        const due = amount < whole ? amount : whole
        const free =
          command.userPays === 'nothing' || (command.userPays === 'goodwill' && decideGoodwill(due))
        const charged = free ? 0n : due
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

export interface Amount {
  /** How many random sequences of up to 40 commands. */
  readonly sequences: Runs
  /** How many of them run concurrently, each with a wallet of its own. */
  readonly lanes: number
}

const SEQUENCES_PER_DATABASE = 500

/** For every sequence of commands the ledger answers as the model does, and ends with the model's balances. */
export function ledgerModelContract(
  name: string,
  { sequences, lanes }: Amount,
  open: (t: Test) => Promise<Db>
): void {
  const total = runsOf(sequences)
  t.test(`${name}: ${total} random sequences, against a model in memory`, async (t) => {
    let commands = 0
    for (let begun = 0; begun < total; begun += SEQUENCES_PER_DATABASE) {
      const runs = Math.min(total - begun, SEQUENCES_PER_DATABASE)
      await t.test(`${runs} in one database`, async (t) => {
        const db = await open(t)
        const done = new AbortController()
        const auditing = auditWhile(db, done.signal)
        const share = Math.ceil(runs / lanes)
        const counts = Array.from({ length: lanes }, (_, lane) => compare(db, share, begun + lane))
        try {
          for (const count of await Promise.all(counts)) commands += count
        } finally {
          done.abort()
        }
        t.ok((await auditing) > 0, 'the audit was polled meanwhile')
        t.same(await readOff(db), [])
      })
    }
    t.ok(commands >= total * 10, `${commands} commands`)
  })
}

interface Result {
  readonly kind: string
  readonly missing?: bigint
}

/** Runs the sequences serially; returns the number of commands. */
async function compare(db: Db, sequences: number, lane: number): Promise<number> {
  const ledger = createLedger()
  let count = 0
  const sequence = fc.array(Command, { maxLength: 40, size: 'max' })
  await check(
    fc.asyncProperty(sequence, async (commands) => {
      const user = userId.create()
      const grants = Array.from({ length: 5 }, () => transactionId.create())
      const jobs = Array.from({ length: 5 }, () => jobId.create())
      const model = createModel()
      await ledger.openWallet(db, user)

      const run = async (command: Command): Promise<Result> => {
        if (command.do === 'wait') {
          await letPass(db, user, `${command.steps * WAIT_MINUTES} minutes`)
          return { kind: 'waited' }
        }
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
            const userPays =
              command.userPays === 'goodwill' ? { goodwill: BUDGET } : command.userPays
            return ledger.resolve(db, { holdId, cost: amount, userPays, reason: 'm', memo: {} })
          }
        }
      }

      for (const [i, command] of commands.entries()) {
        const answer = await run(command).catch(refused)
        const actual = answer.kind === 'short' ? `short of ${answer.missing}` : answer.kind
        const expected = model.run(command)
        if (actual !== expected)
          throw new Error(`${i}: the ledger answered ${actual}, expected ${expected}`)
        count += 1
      }

      const resolutions = await db
        .selectFrom('ledger_hold_resolutions')
        .select('lost')
        .where('hold_id', 'in', jobs)
        .execute()
      const lost = resolutions.reduce((sum, row) => sum + BigInt(row.lost), 0n)
      assert.deepEqual({ ...(await ledger.wallet(db, user)), lost }, model.state())
    }),
    { usual: sequences, deep: sequences },
    lane
  )
  return count
}

/** The two refusals that the model knows; anything else, a deadlock for one, is an answer that it does not expect. */
function refused(error: Error & { code?: string }): Result {
  const expected = error.code === 'idempotency_key_reused' || error.message.startsWith('no hold')
  return { kind: expected ? 'refused' : String(error) }
}

/** Polls the audit until it is aborted; throws at the first poll that is not all zero. */
async function auditWhile(db: Db, signal: AbortSignal): Promise<number> {
  let polls = 0
  while (!signal.aborted) {
    assert.deepEqual(await readOff(db), [])
    polls += 1
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  return polls
}

async function readOff(db: Db) {
  return Object.entries(await createLedger().audit(db)).filter(([, sum]) => sum !== '0')
}
