import { JOB_FAILURES } from '#kernel/job-failures.ts'
import t from 'tap'
import { AgentFailure } from '#supervisor'
import { jobFailureOf } from '../../../../src/jobs/run/agent-failures.ts'

t.test('maps each reason of an agent failure to the code of a job failure', async (t) => {
  for (const [reason, code] of [
    ['stopped', 'interrupted'],
    ['crashed', 'agent_crashed'],
    ['stalled', 'agent_stalled'],
    ['unavailable', 'agent_unavailable']
  ] as const) {
    const cause = new AgentFailure(reason, 'Kilo exited with code 3.')
    const failure = jobFailureOf(cause)
    t.match(failure, { code, message: 'Kilo exited with code 3.', cause }, reason)
    t.ok(JOB_FAILURES[failure.code].retryable, `${reason} may be retried`)
  }
})
