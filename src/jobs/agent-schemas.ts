import { Type, type Static } from 'typebox'
import { Nullable, OneOf, OnlyThese, Time } from '#kernel/schema-kit.ts'
import { AGENT_ENDS, type AgentEndReason, type AgentStatus, type Supervisor } from '#supervisor'

const Amount = Nullable(Type.Integer({ minimum: 0 }))

/** The agent of a project, as clients see it. */
export const AgentView = Type.Object({
  state: OneOf('stopped', 'starting', 'ready', 'draining', 'broken'),
  since: Type.Unsafe<string>({ ...Time, description: 'when it came to this state' }),
  busy: Type.Boolean({ description: 'a job uses it' }),
  startedAt: Nullable(Time),
  lastUsedAt: Nullable(Time),
  restarts: Type.Integer({
    description: 'how often it was started after its first start by this server'
  }),
  failures: Type.Integer({
    description: 'how often it could not be started, crashed or stalled in the last 10 minutes'
  }),
  brokenUntil: Nullable(
    Type.Unsafe<string>({ ...Time, description: 'until then jobs fail with `agent_unavailable`' })
  ),
  lastStop: Nullable(
    Type.Object({
      reason: Type.Enum(Object.keys(AGENT_ENDS) as AgentEndReason[]),
      at: Time,
      how: Type.String()
    })
  ),
  memoryBytes: Nullable(
    Type.Integer({ minimum: 0, description: 'proportional: shared memory counts in parts' })
  ),
  cpuMs: Amount,
  processes: Amount,
  isolation: OneOf('bubblewrap', 'process'),
  network: OneOf('closed', 'shared'),
  uid: OneOf('own', 'shared')
})
export type AgentView = Static<typeof AgentView>

export const AgentRestart = Type.Object(
  {
    force: Type.Optional(
      Type.Boolean({ description: 'cancel the running job; otherwise it is a reason to refuse' })
    )
  },
  OnlyThese
)
export type AgentRestart = Static<typeof AgentRestart>

export function agentViewOf(
  status: AgentStatus,
  { isolation, network, uid }: Pick<Supervisor, 'isolation' | 'network' | 'uid'>
): AgentView {
  const { state, busy, restarts, failures, lastEnd, usage } = status
  return {
    state,
    since: status.since.toISOString(),
    busy,
    startedAt: timeOf(status.startedAt),
    lastUsedAt: timeOf(status.lastUsedAt),
    restarts,
    failures,
    brokenUntil: timeOf(status.brokenUntil),
    lastStop: lastEnd
      ? { reason: lastEnd.reason, at: lastEnd.at.toISOString(), how: lastEnd.how }
      : null,
    memoryBytes: usage?.memoryBytes ?? null,
    cpuMs: usage?.cpuMs ?? null,
    processes: usage?.processes ?? null,
    ...{ isolation, network, uid }
  }
}

const timeOf = (at: Date | undefined): string | null => at?.toISOString() ?? null
