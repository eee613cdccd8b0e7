export type { Account } from './accounts.ts'
export { openGateway, type Gateway, type GatewayOptions } from './gateway.ts'
export type { GatewayMetric } from './metrics.ts'
export type { Provider } from './upstream.ts'
