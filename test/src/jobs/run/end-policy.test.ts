import t from 'tap'
import { JobFailure } from '#kernel/job-failures.ts'
import { decideEnd, type TurnEnd } from '../../../../src/jobs/run/end-policy.ts'

const cancelled = new JobFailure('cancelled', 'the job was cancelled')
const unanswered = new JobFailure('permission_timeout', 'the permission was not answered')
const lost = new JobFailure('lease_lost', 'another worker has taken over')
const completed = { kind: 'completed' } as const
const interrupted = { kind: 'interrupted' } as const
const failed = { kind: 'failed', reason: 'model_error', message: 'the model refused' } as const

const missing = { ...failed, status: 404, message: 'model: old' } as const
const NOTHING = {
  stopReason: undefined,
  unansweredPermission: undefined,
  model: 'anthropic/old',
  defaultModel: 'anthropic/new'
}

const TABLE: readonly (readonly [
  title: string,
  end: Partial<TurnEnd>,
  code: string | undefined,
  message?: string
])[] = [
  ['keeps the work of a completed turn', { outcome: completed }, undefined],
  ['fails for the reason of a failed turn', { outcome: failed }, 'model_error', failed.message],
  [
    'names the default when the provider does not have the model',
    { outcome: missing },
    'model_error',
    'The provider does not have the model anthropic/old: choose another one, for instance the default ' +
      'anthropic/new. Its answer was 404: model: old'
  ],
  [
    'names the setting when the provider does not have the default',
    { outcome: missing, defaultModel: 'anthropic/old' },
    'model_error',
    'The provider does not have the model anthropic/old: it is the default of this server, whose operator ' +
      'can set MODEL to another one. Its answer was 404: model: old'
  ],
  ['takes an unrequested interruption for a crash', { outcome: interrupted }, 'agent_crashed'],
  ['takes a turn without an outcome for a crash', {}, 'agent_crashed'],
  [
    'fails a completed turn for an unanswered permission',
    { outcome: completed, unansweredPermission: unanswered },
    'permission_timeout'
  ],
  [
    'fails a failed turn for its own reason, not for the permission',
    { outcome: failed, unansweredPermission: unanswered },
    'model_error'
  ],
  [
    'fails an interrupted turn for the reason to stop',
    { outcome: interrupted, stopReason: cancelled },
    'cancelled'
  ],
  [
    'fails a completed turn for a reason to stop that came meanwhile',
    { outcome: completed, stopReason: cancelled },
    'cancelled'
  ],
  ['prefers the reason to stop to an error', { error: lost, stopReason: cancelled }, 'cancelled'],
  ['fails for the error of a job', { error: lost }, 'lease_lost'],
  [
    'prefers an error to an unanswered permission',
    { error: lost, unansweredPermission: unanswered },
    'lease_lost'
  ],
  ['takes any other error for a fault of the server', { error: new Error('x') }, 'interrupted']
]

t.test('how a job ends', async (t) => {
  for (const [title, end, code, message] of TABLE) {
    const decided = decideEnd({ ...NOTHING, ...end })
    const failure = decided.kind === 'fail' ? decided.failure : undefined
    t.equal(failure?.code, code, title)
    if (message !== undefined) t.equal(failure?.message, message, title)
  }
})
