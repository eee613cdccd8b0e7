import { mkdirSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AgentEvent, TurnOutcome } from '#kernel/agent-events.ts'
import { systemClock } from '#kernel/clock.ts'
import { startScriptedModel } from '#fixtures'
import { projectId } from '#kernel/ids.ts'
import { silentLog } from '#kernel/log.ts'
import {
  openSupervisor,
  type Agent,
  type AgentTurn,
  type SupervisorMetric,
  type SupervisorOptions
} from '#supervisor'

export { processesWith, untilGone } from '../helpers/processes.ts'

interface Teardown {
  teardown(end: () => PromiseLike<unknown>): void
}

export const MODEL = 'openai-compatible/scripted'
export const API_KEY = 'sk-real-provider-key-0123456789'

/** A supervisor with a scripted model, in a folder of its own; everything is removed after the test. */
export async function openStage(t: Teardown, overrides: Partial<SupervisorOptions> = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'kilowatt-supervisor-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const model = await startScriptedModel({ apiKey: API_KEY })
  t.teardown(() => model[Symbol.asyncDispose]())
  const metrics: SupervisorMetric[] = []
  const models = [{ id: 'scripted', contextTokens: 200_000, outputTokens: 8192 }]
  const supervisor = await openSupervisor({
    kiloBin: undefined,
    agentsDir: join(folder, 'agents'),
    isolation: 'auto',
    agentsMax: 2,
    idleStopMs: 600_000,
    providersFor: () => [{ id: 'openai-compatible', baseUrl: model.url, apiKey: API_KEY, models }],
    defaultModel: MODEL,
    log: silentLog,
    clock: systemClock,
    modelRetriesMax: 1,
    onMetric: (metric) => metrics.push(metric),
    ...overrides
  })
  t.teardown(() => supervisor[Symbol.asyncDispose]())

  const project = async (name = 'worktree') => {
    const worktree = join(folder, name)
    // Synchronous, so that agents are borrowed in the order of the calls.
    mkdirSync(worktree, { recursive: true })
    const id = projectId.create()
    const borrowed = supervisor.borrow(id, worktree, never())
    const agent = await borrowed.agent
    const { pid } = supervisor.running().find((running) => running.projectId === id) ?? {}
    return { id, worktree, borrowed, agent, pid: pid as number }
  }
  return { folder, model, models, supervisor, metrics, project }
}

export const never = () => new AbortController().signal

export interface Played {
  readonly events: AgentEvent[]
  readonly outcome: TurnOutcome | undefined
  /** The joined pieces of the root's texts, by source. */
  readonly answer: string
  readonly thought: string
}

/** Runs one turn to its end in a new session; `onEvent` may answer requests. */
export async function play(
  agent: Agent,
  turn: Partial<AgentTurn> & { text: string },
  onEvent: (event: AgentEvent) => unknown = () => {},
  signal = never()
): Promise<Played> {
  const agentSessionId = turn.agentSessionId ?? (await agent.openSession())
  const events: AgentEvent[] = []
  const whole = { mode: 'code', model: MODEL, ...turn, agentSessionId }
  for await (const event of agent.runTurn(whole, signal)) {
    events.push(event)
    await onEvent(event)
  }
  return {
    events,
    outcome: events.flatMap((e) => (e.type === 'turn.finished' ? [e.outcome] : [])).at(-1),
    answer: joined(events, 'assistant'),
    thought: joined(events, 'reasoning')
  }
}

export const joined = (events: readonly AgentEvent[], source: 'assistant' | 'reasoning') =>
  events
    .flatMap((e) => (e.type === 'text.appended' && e.source === source ? [e.text] : []))
    .join('')

export const toolsOf = (events: readonly AgentEvent[]) =>
  events.flatMap((e) => (e.type === 'tool.updated' ? [e] : []))
