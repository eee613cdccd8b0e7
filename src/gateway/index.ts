export type { Account } from './paying-jobs.ts'
export { openGateway, type Gateway, type GatewayOptions } from './gateway.ts'
export type { GatewayMetric } from './metrics.ts'
export type { Provider } from './upstream.ts'
