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
export { priceMemo } from './price-memo.ts'
export { readPriceList, type PriceList } from './price-list.ts'
export { ceilingOf, costUsd, priceOf, type Price } from './pricing.ts'
export { createPurse, type Purse } from './purse.ts'
export { reconcile, type Disagreement, type Step } from './reconcile.ts'
export { createRequestMeter } from './request-meter.ts'
export type {
  ModelRequest,
  NewRequest,
  OpenResult,
  RequestEnd,
  RequestMeter,
  RequestOutcome,
  Spent
} from './request-meter.ts'
export type { StatementLine, StatementPage } from './statement-store.ts'
