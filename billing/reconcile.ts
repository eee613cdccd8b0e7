import type { Usage } from '#kernel/agent-events.ts'
import type { ModelRequest } from './model-request.ts'

/** A finished step as the session metadata of Kilo reports it. */
export interface Step {
  readonly stepId: string
  readonly agentSessionId: string
  readonly model: string
  readonly usage: Usage
}

/** A finished step whose usage differs. `requestId` is null when the gateway has no request for it. */
export interface Disagreement {
  readonly stepId: string
  readonly agentSessionId: string
  readonly said: Usage
  readonly counted: Usage | null
  readonly requestId: string | null
}

type Counted = Pick<ModelRequest, 'id' | 'agentSessionId' | 'kind' | 'usage' | 'outcome' | 'state'>

/**
 * Compares session metadata with the gateway's requests. Within a session a step matches the first request with equal
 * usage, else the first one that is left. Requests without a step (an aborted step, a title, a refused attempt) are no
 * disagreement, and neither is a step of zero tokens whose provider reported no usage.
 */
export function reconcile(
  steps: readonly Step[],
  requests: readonly Counted[]
): readonly Disagreement[] {
  const left = requests.filter(
    ({ kind, outcome }) => kind === 'turn' && (outcome === 'served' || outcome === 'estimated')
  )
  const take = (fits: (request: Counted) => boolean): Counted | undefined => {
    const at = left.findIndex(fits)
    return at < 0 ? undefined : left.splice(at, 1)[0]
  }

  const unmatched = steps.filter(
    (step) => !take((request) => isOf(step, request) && agrees(step.usage, request.usage))
  )
  return unmatched.flatMap((step) => {
    const outcome = isNothing(step.usage) ? 'estimated' : 'served'
    const found =
      take((request) => isOf(step, request) && request.outcome === outcome) ??
      take((request) => isOf(step, request))
    if (found?.outcome === 'estimated' && isNothing(step.usage)) return []
    return [
      {
        stepId: step.stepId,
        agentSessionId: step.agentSessionId,
        said: step.usage,
        counted: found?.usage ?? null,
        requestId: found?.id ?? null
      }
    ]
  })
}

const isOf = (step: Step, request: Counted) => request.agentSessionId === step.agentSessionId

/** Kilo counts the cache writes of one of the two protocols as input. */
const agrees = (a: Usage, b: Usage) =>
  a.input + a.cacheWrite === b.input + b.cacheWrite &&
  a.cacheRead === b.cacheRead &&
  a.output + a.reasoning === b.output + b.reasoning

const isNothing = ({ input, output, reasoning, cacheRead, cacheWrite }: Usage) =>
  input + output + reasoning + cacheRead + cacheWrite === 0
