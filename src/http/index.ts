export { createApp } from './app.ts'
export type { AppDeps, Health, Timings } from './app-deps.ts'
