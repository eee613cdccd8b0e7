export { createLedger } from './ledger.ts'
export type {
  ExtendResult,
  GrantResult,
  HoldResult,
  Ledger,
  Resolution,
  ResolveResult,
  Wallet
} from './ledger.ts'
export type { Memo } from './ledger-store.ts'
export { createMeter, type Meter } from './meter.ts'
export { readPriceList, type PriceList } from './price-list.ts'
export { ceilingOf, costUsd, priceOf, type Price } from './pricing.ts'
export type { StatementLine, StatementPage } from './statement-store.ts'
