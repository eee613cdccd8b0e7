import t from 'tap'
import { createQuota } from '#editing'
import { projectId } from '#kernel/ids.ts'
import { silentLog } from '#kernel/log.ts'
import { refusal } from '../workspaces/kit.ts'

const MB = 1_000_000
const id = projectId.create()

/** A project that takes what the test says, and a clock that the test moves. */
function givenQuota(bytes: number, files = 1) {
  const now = { bytes, files, ms: 0, measurements: 0, fails: false }
  const quota = createQuota({
    limits: { quotaBytes: 100 * MB, quotaFiles: 1000 },
    clock: { monotonicMs: () => now.ms },
    log: silentLog,
    measure() {
      now.measurements += 1
      return now.fails
        ? Promise.reject(new Error('no such folder'))
        : Promise.resolve({ bytes: now.bytes, files: now.files })
    }
  })
  return { now, save: (size = MB) => quota.admit(id, size) }
}

t.test('refuses a save that has no room, in bytes or files', async (t) => {
  const { save } = givenQuota(95 * MB)
  await save(5 * MB)
  const refused = await refusal(save(1))
  t.match(refused, { code: 'quota_exceeded', facts: { limitBytes: 100 * MB, limitFiles: 1000 } })
  await t.rejects(givenQuota(1, 1000).save(1), { code: 'quota_exceeded' })
})

t.test('counts what was admitted since the last measurement', async (t) => {
  const { now, save } = givenQuota(60 * MB)
  for (let n = 0; n < 40; n++) await save()
  t.equal(now.measurements, 1)
  await t.rejects(save(), { code: 'quota_exceeded' })
})

t.test('measures again before it refuses, unless it just has', async (t) => {
  const { now, save } = givenQuota(100 * MB)
  await t.rejects(save(), { code: 'quota_exceeded' })
  await t.rejects(save(), { code: 'quota_exceeded' })
  t.equal(now.measurements, 1)
  Object.assign(now, { bytes: 50 * MB, ms: 2500 })
  await save()
  t.equal(now.measurements, 2)
})

t.test('measures an old project again, and waits for it only when it may be full', async (t) => {
  const { now, save } = givenQuota(10 * MB)
  await save()
  Object.assign(now, { bytes: 100 * MB, ms: 31_000 })
  await save()
  t.equal(now.measurements, 2, 'in the background')
  await t.rejects(save(), { code: 'quota_exceeded' })
})

t.test('admits what cannot be measured', async (t) => {
  const { now, save } = givenQuota(100 * MB)
  now.fails = true
  await save()
  now.fails = false
  await t.rejects(save(), { code: 'quota_exceeded' }, 'and measures it the next time')
})
