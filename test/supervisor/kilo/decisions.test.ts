import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { systemClock } from '#kernel/clock.ts'
import { projectId } from '#kernel/ids.ts'
import { silentLog } from '#kernel/log.ts'
import t from 'tap'
import { findRuntime } from '../../../supervisor/agent/runtime.ts'
import { authorizationOf } from '../../../supervisor/kilo/client.ts'
import { MODEL_TIMEOUTS } from '../../../supervisor/options.ts'
import {
  decisionOfEvent,
  decisionOfPart,
  decisionOfStatus
} from '../../../supervisor/kilo/known-names.ts'
import { launch } from '../../../supervisor/agent/launch.ts'
import { AGENT_LIMITS } from '#kernel/limits.ts'
import { AGENT_TIMES } from '../../../supervisor/options.ts'

interface Schema {
  $ref?: string
  anyOf?: Schema[]
  enum?: string[]
  properties?: Record<string, Schema>
}
interface OpenApi {
  components: { schemas: Record<string, Schema> }
}

t.test('has a decision about every type that the running Kilo lists', async (t) => {
  const { components } = await readDoc(t)
  const named = (name: string): Schema => {
    const schema = components.schemas[name]
    if (!schema) throw new Error(`Kilo’s OpenAPI has no ${name} any more`)
    return schema
  }
  const resolve = ({ $ref, ...schema }: Schema): Schema =>
    $ref === undefined ? schema : resolve(named($ref.split('/').at(-1) ?? ''))
  const typesOf = (union: Schema | undefined) =>
    (union?.anyOf ?? []).flatMap((one) => resolve(one).properties?.['type']?.enum ?? [])

  const events = [
    ...typesOf(named('GlobalEvent').properties?.['payload']),
    ...typesOf(named('Event'))
  ]
  const parts = typesOf(named('Part'))
  const statuses = typesOf(named('SessionStatus'))
  t.ok(new Set(events).size >= 100, 'the list was found')
  t.ok(parts.length >= 10 && statuses.length >= 4)

  t.same(undecided(events, decisionOfEvent), [], 'events')
  t.same(undecided(parts, decisionOfPart), [], 'parts')
  t.same(undecided(statuses, decisionOfStatus), [], 'types of session.status')
})

t.test('has a decision about every type that the SDK declares', async (t) => {
  const entry = fileURLToPath(import.meta.resolve('@kilocode/sdk/v2/client'))
  const types = await readFile(join(entry, '../gen/types.gen.d.ts'), 'utf8')
  const union = /^export type Event = (.+);$/m.exec(types)?.[1]?.split(' | ') ?? []
  const names = union.flatMap((name) => {
    const body = new RegExp(`^export type ${name} = \\{\\n([\\s\\S]+?)^\\};`, 'm').exec(types)?.[1]
    return /^ {4}type: "([^"]+)"/m.exec(body ?? '')?.[1] ?? []
  })
  t.ok(names.length >= 80, 'the list was found')
  t.same(undecided(names, decisionOfEvent), [])
})

const undecided = (names: readonly string[], decide: (name: string) => unknown) =>
  [...new Set(names)].filter((name) => decide(name) === undefined)

/** The OpenAPI document of a real Kilo, which is started for this alone. */
async function readDoc(t: { teardown(end: () => unknown): void }): Promise<OpenApi> {
  const folder = await mkdtemp(join(tmpdir(), 'kilowatt-doc-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const worktree = join(folder, 'worktree')
  const agentsDir = join(folder, 'agents')
  await mkdir(worktree)
  const models = [{ id: 'none', contextTokens: 1000, outputTokens: 100 }]
  const id = 'openai-compatible' as const
  const access = { id, baseUrl: 'http://127.0.0.1:1', apiKey: 'none', models }
  const password = 'a password for a moment'
  const { kilo, url } = await launch(
    {
      runtime: await findRuntime(
        { kiloBin: undefined, isolation: 'process', agentsDir },
        silentLog
      ),
      worktree,
      agentsDir,
      password,
      providers: [access],
      defaultModel: 'openai-compatible/none',
      projectId: projectId.create(),
      modelTimeouts: MODEL_TIMEOUTS,
      modelRetriesMax: 1,
      times: AGENT_TIMES,
      limits: AGENT_LIMITS,
      clock: systemClock,
      log: silentLog,
      redact: (text) => text
    },
    new AbortController().signal
  )
  t.teardown(() => kilo.kill())
  const answer = await fetch(`${url}/doc`, {
    headers: { authorization: authorizationOf(password) }
  })
  return (await answer.json()) as OpenApi
}
