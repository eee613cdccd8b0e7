export { createLedger, type Ledger } from './ledger.ts'
export type {
  ExtendResult,
  GoodwillBudget,
  GrantResult,
  HoldResult,
  Memo,
  Resolution,
  ResolveResult,
  Wallet
} from './ledger-answers.ts'
export { createMeter, type Meter } from './meter.ts'
export type {
  ModelRequest,
  NewRequest,
  OpenResult,
  RequestEnd,
  RequestOutcome,
  Spent
} from './model-request.ts'
export { priceMemo } from './prices/price-memo.ts'
export { readPriceList, type PriceList } from './prices/price-list.ts'
export { ceilingOf, costUsd, priceOf, type Price } from './prices/pricing.ts'
export { HIDDEN_TOKENS, smallestCost } from './prices/request-bounds.ts'
export { createPurse, type Purse } from './purse.ts'
export { reconcile, type Disagreement, type Step } from './reconcile.ts'
export { createRequestMeter, type RequestMeter } from './request-meter.ts'
export type { StatementLine, StatementPage } from './statements/statement-store.ts'
