export type { Jobs } from './jobs.ts'
export * from './job-schemas.ts'
