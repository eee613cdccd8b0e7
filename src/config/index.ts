export { readConfig, type Config } from './config.ts'
export { ConfigError } from './config-error.ts'
export type { ProviderSettings } from './providers.ts'
export { HELP } from './settings.ts'
