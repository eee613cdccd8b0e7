import fc from 'fast-check'
import t from 'tap'
import { Compile } from 'typebox/schema'
import type { RefusalCode } from '#kernel/errors.ts'
import { PROBLEM_STATUSES } from '../../../src/http/problem-statuses.ts'
import { ask, givenDoors, type Answer, type Person } from './given-doors.ts'
import { around, type JsonSchema } from './schema-arbitraries.ts'
import { check, runsOf, type Runs } from '../../helpers/property.ts'

const RUNS_PER_OPERATION: Runs = { usual: 15, deep: 40 }

interface Operation {
  readonly summary?: string
  readonly tags?: readonly string[]
  readonly security?: readonly unknown[]
  readonly parameters?: readonly {
    readonly name: string
    readonly in: 'path' | 'query' | 'header'
    readonly required?: boolean
    readonly schema: JsonSchema
  }[]
  readonly requestBody?: { readonly content: { 'application/json': { schema: JsonSchema } } }
  readonly responses: Record<
    string,
    { description: string; content?: Record<string, { schema: JsonSchema }> }
  >
}
type Document = Record<'paths', Record<string, Record<string, Operation>>> & { openapi: string }

const operations = ({ paths }: Document) =>
  Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation }))
  )

const CONTRACT = `
  post /users · get /users/{id}/keys · post /users/{id}/keys · delete /users/{id}/keys/{keyId} · post /projects · get /projects · get /projects/{id} · patch /projects/{id} · delete /projects/{id}
  · get /projects/{id}/agent · post /projects/{id}/agent/restart · post /projects/{id}/repair
  · get /projects/{id}/files · get /projects/{id}/files/{path} · put /projects/{id}/files/{path}
  · delete /projects/{id}/files/{path} · post /projects/{id}/ai-command · get /projects/{id}/jobs · get /jobs/{id}
  · post /jobs/{id}/cancel · post /jobs/{id}/retry · get /jobs/{id}/diff · post /jobs/{id}/merge
  · post /jobs/{id}/discard · post /jobs/{id}/revert · post /jobs/{id}/permissions/{permissionId}
  · post /jobs/{id}/questions/{questionId} · get /jobs/{id}/events · get /projects/{id}/events
  · get /projects/{id}/sessions · get /sessions/{id}/messages · post /ws-tickets · get /wallet
  · post /wallet/purchase · get /wallet/transactions · get /health · get /livez · get /readyz · get /metrics · get /ws`

t.test(
  'the document names every route of the contract, and what each takes and answers',
  async (t) => {
    const { app } = await givenDoors(t)
    const { body: document } = await ask<Document>(app, 'GET', '/openapi.json')
    t.match(document.openapi, /^3\.1\./)
    const found = operations(document).filter(({ method }) => method !== 'head')
    const names = found.map(({ path, method }) => `${method} ${path}`)
    t.same(
      names.toSorted(),
      CONTRACT.split('·')
        .map((name) => name.trim())
        .toSorted()
    )

    for (const { path, method, operation } of found) {
      const name = `${method} ${path}`
      t.ok(operation.summary && operation.tags?.length, `${name} says what it does`)
      for (const [, param] of path.matchAll(/\{(\w+)\}/g)) {
        t.ok(
          operation.parameters?.some((one) => one.in === 'path' && one.name === param),
          `${name} describes ${param}`
        )
      }
      for (const { description } of Object.values(operation.responses)) {
        t.not(description, 'Default Response', `${name} describes its answers`)
      }
    }
    for (const path of ['/health', '/livez', '/readyz']) {
      t.same(document.paths[path]?.['get']?.security, [], `${path} needs no key`)
    }
  }
)

t.test('the readable page is there', async (t) => {
  const { app } = await givenDoors(t)
  const page = await ask(app, 'GET', '/docs')
  t.match(page, { status: 200, headers: { 'content-type': /html/ } })
  const { body } = await ask<Document>(app, 'GET', '/docs/json')
  t.ok(body.paths['/wallet'])
})

/** Never by `String`: an object that came out with a `toString` of its own has none that can be called. */
const textOf = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value))

/** A path segment as it goes over the wire; text without a UTF-8 encoding stays as it is. */
function encode(value: unknown): string {
  const text = textOf(value)
  return text.isWellFormed() ? encodeURIComponent(text) : '%ED%A0%80'
}

const headerSafe = (value: unknown) => textOf(value).replaceAll(/[^\x20-\x7e]/g, '?')

interface Shot {
  readonly url: string
  readonly body: string | undefined
  readonly headers: Record<string, string>
}

/** Requests around what an operation takes; ids are mostly of things that are there. */
function shots(path: string, operation: Operation, things: Things): fc.Arbitrary<Shot> {
  const right = things[path.split('/')[1] as keyof Things] ?? things.projects
  const parameters = operation.parameters ?? []
  const params = parameters.map((one) => {
    const value = around(one.schema)
    const known = one.name === 'id' ? right : one.name === 'path' ? 'a.txt' : 'x'
    const there = fc.oneof(
      { weight: 8, arbitrary: fc.constant<unknown>(known) },
      { weight: 1, arbitrary: fc.constantFrom<unknown>(...Object.values(things)) },
      { weight: 1, arbitrary: value }
    )
    const good = one.in === 'path' ? there : value
    const given = one.required ? good : fc.option(good, { nil: undefined, freq: 3 })
    return given.map((chosen) => ({ ...one, chosen }))
  })
  const schema = operation.requestBody?.content['application/json'].schema
  const body = schema
    ? around(schema).map((value) => JSON.stringify(value))
    : fc.constant(undefined)

  return fc.tuple(fc.tuple(...params), body).map(([chosen, text]) => {
    const given = chosen.filter((one) => one.chosen !== undefined)
    const url = given
      .filter((one) => one.in === 'path')
      .reduce((sofar, one) => sofar.replace(`{${one.name}}`, () => encode(one.chosen)), path)
    const query = given
      .filter((one) => one.in === 'query')
      .map((one) => `${one.name}=${encode(one.chosen)}`)
    const headers = given
      .filter((one) => one.in === 'header')
      .map((one) => [one.name, headerSafe(one.chosen)])
    return {
      url: [url, ...(query.length > 0 ? [query.join('&')] : [])].join('?'),
      body: text,
      headers: Object.fromEntries(headers) as Record<string, string>
    }
  })
}

/** Whatever was asked: never our fault, a refusal is a problem we have a word for, an answer is as described. */
function judge(operation: Operation, answer: Answer): string | undefined {
  const { status, headers, body } = answer
  if (status >= 500) return `answered ${status}: ${answer.text}`
  if (status >= 400) {
    if (!String(headers['content-type']).startsWith('application/problem+json')) return 'no problem'
    const known = PROBLEM_STATUSES[body?.code as RefusalCode] as number | undefined
    if (known !== status || body.status !== status) return `odd refusal: ${answer.text}`
    return undefined
  }
  const described = operation.responses[String(status)]
  if (!described) return `answers ${status}, which is not described`
  const schema = described.content?.['application/json']?.schema
  if (!schema || body === undefined) return undefined
  const check = Compile(schema as never)
  if (check.Check(body)) return undefined
  return `not as described: ${JSON.stringify(check.Errors(body))} ${answer.text}`
}

interface Things {
  readonly projects: string
  readonly jobs: string
  readonly sessions: string
}

async function givenThings(ada: Person): Promise<Things> {
  const id = await ada.project({ 'a.txt': 'a' })
  const { body } = await ada.call('POST', `/projects/${id}/ai-command`, { text: 'hi' })
  return { projects: id, jobs: body.jobId, sessions: body.sessionId }
}

t.test('no request breaks anything', async (t) => {
  const { app, operator, person } = await givenDoors(t, { requestsPerMinuteMax: 1e9 })
  const ada = await person(1e6)
  const { body: document } = await ask<Document>(app, 'GET', '/openapi.json')

  let welcome = 0
  for (const { path, method, operation } of operations(document)) {
    const things = await givenThings(ada)
    const asker = path === '/users' ? operator : ada
    const property = fc.asyncProperty(shots(path, operation, things), async (shot) => {
      const answer = await asker.call(method.toUpperCase(), shot.url, shot.body, shot.headers)
      if (answer.status < 300) welcome++
      const complaint = judge(operation, answer)
      if (complaint) throw new Error(`${method} ${shot.url} ${shot.body ?? ''}: ${complaint}`)
    })
    await check(property, RUNS_PER_OPERATION)
    t.pass(`${method} ${path}`)
  }
  const asked = runsOf(RUNS_PER_OPERATION) * operations(document).length
  t.ok(welcome > asked / 4, `${welcome} of ${asked} were served: the others were refused`)
})
