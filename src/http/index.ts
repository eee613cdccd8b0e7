export { createApp } from './app.ts'
export type { AppDeps, Timings } from './app-deps.ts'
