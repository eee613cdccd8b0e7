import { JOB_FAILURES } from '#kernel/job-failures.ts'
import t from 'tap'
import { AgentFailure } from '#supervisor'
import { jobFailureOf } from '../../../../src/jobs/run/agent-failures.ts'

t.test('maps each reason of an agent failure to the code of a job failure', async (t) => {
  for (const [reason, code] of [
    ['stopped', 'interrupted'],
    ['crashed', 'agent_crashed'],
    ['stalled', 'agent_stalled'],
    ['unavailable', 'agent_unavailable'],
    ['out-of-memory', 'agent_out_of_memory'],
    ['too-many-processes', 'agent_crashed'],
    ['disk-full', 'disk_full']
  ] as const) {
    const cause = new AgentFailure(reason, 'Kilo exited with code 3.')
    const failure = jobFailureOf(cause)
    t.match(failure, { code, message: 'Kilo exited with code 3.', cause }, reason)
    const mayRetry = reason !== 'disk-full'
    t.equal(JOB_FAILURES[failure.code].retryable, mayRetry, `${reason}: ${mayRetry}`)
  }
})
