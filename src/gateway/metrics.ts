import type { RequestOutcome } from '#billing'
import type { RefusalKind } from './refusal.ts'

/** The gateway's measurements. */
export type GatewayMetric =
  | {
      readonly kind: 'request'
      readonly model: string
      readonly outcome: RequestOutcome
      readonly ttfbMs: number | null
    }
  /** Refused by the gateway: nothing was sent. */
  | { readonly kind: 'refused'; readonly why: RefusalKind }
  /** A request cost more than its maximum: the platform bears the difference. */
  | { readonly kind: 'overrun'; readonly model: string }
  /** A provider's count cannot be true, and was estimated instead. */
  | { readonly kind: 'implausible-usage'; readonly model: string }
