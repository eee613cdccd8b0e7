import type { Usage } from '#kernel/agent-events.ts'
import type { ModelRequest } from './model-request.ts'

/** A finished step as session metadata tells it. */
export interface Step {
  readonly stepId: string
  readonly agentSessionId: string
  readonly model: string
  readonly usage: Usage
}

/** A finished step on which the two do not agree; `requestId` is null when the gateway saw no request for it. */
export interface Disagreement {
  readonly stepId: string
  readonly agentSessionId: string
  readonly said: Usage
  readonly counted: Usage | null
  readonly requestId: string | null
}

type Counted = Pick<ModelRequest, 'id' | 'agentSessionId' | 'kind' | 'usage' | 'outcome' | 'state'>

/**
 * Session metadata against the gateway, step by step: within a session a step is the first request that counts the same,
 * else the first that is left. What only the gateway saw (a broken-off step, a title, a refused try) is no disagreement,
 * and neither is a step of zero tokens whose provider told no usage.
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

  const doubtful = steps.filter(
    (step) => !take((request) => isOf(step, request) && agrees(step.usage, request.usage))
  )
  return doubtful.flatMap((step) => {
    const untold = isNothing(step.usage) ? 'estimated' : 'served'
    const found =
      take((request) => isOf(step, request) && request.outcome === untold) ??
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

/** Kilo has no word for what one of the two protocols writes to a cache, and counts it as input. */
const agrees = (a: Usage, b: Usage) =>
  a.input + a.cacheWrite === b.input + b.cacheWrite &&
  a.cacheRead === b.cacheRead &&
  a.output + a.reasoning === b.output + b.reasoning

const isNothing = ({ input, output, reasoning, cacheRead, cacheWrite }: Usage) =>
  input + output + reasoning + cacheRead + cacheWrite === 0
