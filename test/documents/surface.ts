import { createApp, type AppDeps } from '#http'
import { REFUSALS, type RefusalCode } from '#kernel/errors.ts'
import { JOB_FAILURES } from '#kernel/job-failures.ts'
import { silentLog } from '#kernel/log.ts'
import { Registry } from 'prom-client'
import { PROBLEM_STATUSES } from '../../src/http/problem-statuses.ts'
import { wireSchemas } from '../../src/http/stream/wire-schemas.ts'
import type { GeneratedDocument } from './generated-document.ts'

/** Members that hold a sentence for a person. As names of properties they are objects, and stay. */
const TEXTS: ReadonlySet<string> = new Set(['description', 'summary', 'title'])

/** A JSON value without its sentences and with its members in one order, so that only a change of shape shows. */
function withoutTexts(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutTexts)
  if (typeof value !== 'object' || value === null) return value
  const members = Object.entries(value)
    .filter(([name, member]) => !(TEXTS.has(name) && typeof member === 'string'))
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(members.map(([name, member]) => [name, withoutTexts(member)]))
}

/** The OpenAPI document of an app that serves no request: routes use what they depend on only when asked. */
async function openApi(): Promise<unknown> {
  const log = Object.assign(Object.create(silentLog), { level: 'silent', trace() {}, fatal() {} })
  const app = await createApp({
    log: Object.assign(log, { child: () => log }),
    version: '0.0.0',
    metrics: new Registry(),
    allowedOrigins: [],
    signal: new AbortController().signal
  } as Partial<AppDeps> as AppDeps)
  try {
    return (await app.inject('/openapi.json')).json()
  } finally {
    await app.close()
  }
}

/** Everything that clients rely on, without the texts: a change of this file is a change of the contract. */
export async function surfaceDocument(): Promise<GeneratedDocument> {
  const surface = {
    problems: Object.fromEntries(
      Object.entries(REFUSALS).map(([code, meaning]) => [
        code,
        { ...meaning, status: PROBLEM_STATUSES[code as RefusalCode] }
      ])
    ),
    jobFailures: JOB_FAILURES,
    openApi: await openApi(),
    wire: Object.fromEntries(wireSchemas().map(({ name, schema }) => [name, schema]))
  }
  return { path: 'docs/schemas/surface.json', text: JSON.stringify(withoutTexts(surface)) }
}
