import type { RequestOutcome } from '#billing'
import type { RefusalKind } from './refusal.ts'

/** What is worth a number on a dashboard. */
export type GatewayMetric =
  | {
      readonly kind: 'request'
      readonly model: string
      readonly outcome: RequestOutcome
      readonly ttfbMs: number | null
    }
  /** Our own no: nothing was sent. */
  | { readonly kind: 'refused'; readonly why: RefusalKind }
  /** A request cost more than the most that we had thought: the platform bears it. */
  | { readonly kind: 'overrun'; readonly model: string }
