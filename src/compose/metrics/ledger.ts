import { Gauge, type Registry } from 'prom-client'
import type { Ledger } from '#billing'
import type { Db } from '#db'

/** The audit reads every transfer, so scrapes share one result for this time. */
const AUDIT_EVERY_MS = 60_000
const MICROCREDITS_PER_CREDIT = 1_000_000

/** Exports the audit of the ledger: each of its sums must be zero. */
export function watchLedger(registry: Registry, db: Db, ledger: Ledger): void {
  const registers = [registry]
  const readAudit = cachedFor(AUDIT_EVERY_MS, () => ledger.audit(db))
  const audit = new Gauge({
    name: 'kilowatt_ledger_audit',
    help: 'Every sum of the ledger audit: anything but zero is an alarm',
    labelNames: ['sum'],
    registers,
    async collect() {
      const sums = await readAudit()
      for (const [sum, value] of Object.entries(sums)) audit.set({ sum }, Number(value))
    }
  })
  const loss = new Gauge({
    name: 'kilowatt_platform_loss_credits',
    help: 'Provider costs that no user was charged for',
    registers,
    async collect() {
      loss.set(Number(await ledger.platformLoss(db)) / MICROCREDITS_PER_CREDIT)
    }
  })
}

function cachedFor<T>(ms: number, read: () => Promise<T>): () => Promise<T> {
  let last: { readonly value: Promise<T>; readonly atMs: number } | undefined
  return () => {
    const now = performance.now()
    if (!last || now - last.atMs > ms) last = { value: read(), atMs: now }
    // A failure is not cached: the next scrape reads again.
    last.value.catch(() => (last = undefined))
    return last.value
  }
}
