import t from 'tap'
import { decideWalk } from '../../../supervisor/limits/walk-policy.ts'
import { countsPerNamespace, limited } from '../../../supervisor/process/process-limits.ts'
import {
  excessOf,
  excessOnDisk,
  isNearQuota,
  quotaOfTurn
} from '../../../supervisor/limits/limits-policy.ts'
import { decideAdmission, PLANNED_BYTES } from '../../../supervisor/pool/memory-policy.ts'

const MB = 1_000_000
const limits = { processesMax: 200, memoryMaxBytes: 1200 * MB }
const quota = { quotaBytes: 50 * MB, quotaFiles: 1000 }
const disk = (bytes: number, files = 1, isTooDeep = false) => ({ bytes, files, isTooDeep })

t.test('ends a room above a limit, and says which', async (t) => {
  t.equal(excessOf({ tasks: 200, memoryBytes: 1200 * MB }, limits), undefined)
  t.match(excessOf({ tasks: 201, memoryBytes: 0 }, limits), {
    reason: 'too-many-processes',
    message: 'The agent and its commands had 201 processes and threads; the limit is 200.'
  })
  t.match(excessOf({ tasks: 3, memoryBytes: 1250 * MB }, limits), {
    reason: 'out-of-memory',
    message: 'The agent and its commands used 1.25 GB of memory; the limit is 1.20 GB.'
  })
})

t.test('ends a turn above the quota', async (t) => {
  t.equal(excessOnDisk(disk(50 * MB, 1000), quota), undefined)
  for (const [usage, message] of [
    [disk(51 * MB), 'The project occupies more than its limit of 50.0 MB on disk.'],
    [disk(1, 1001), 'The project has more files and folders than its limit of 1,000.'],
    [disk(1, 1, true), 'The project has folders nested more deeply than 256.']
  ] as const) {
    t.match(excessOnDisk(usage, quota), { reason: 'disk-full', message })
  }
})

t.test('a project over its quota may be worked on, and not grow', async (t) => {
  t.same(quotaOfTurn(quota, undefined), quota)
  t.same(quotaOfTurn(quota, disk(49 * MB, 999)), quota)
  const over = quotaOfTurn(quota, disk(80 * MB, 2000))
  t.equal(excessOnDisk(disk(81 * MB, 2001), over), undefined)
  t.ok(excessOnDisk(disk(120 * MB, 2001), over))
  t.ok(excessOnDisk(disk(81 * MB, 3000), over))
  t.same(quotaOfTurn(quota, disk(80 * MB, 10)).quotaFiles, 1000)
})

t.test('measures at the end of a turn near the quota', async (t) => {
  t.notOk(isNearQuota(disk(40 * MB, 800), quota))
  t.ok(isNearQuota(disk(41 * MB), quota))
  t.ok(isNearQuota(disk(1, 801), quota))
})

t.test('walks a large project seldom, and early when the disk fills up', async (t) => {
  const left = { bytes: 1000 * MB, files: 10_000 }
  const none = { bytes: 0, files: 0 }
  const quiet = { left, lost: none, countsNoFiles: false }
  const short = { ...quiet, tookMs: 5 }
  const long = { ...quiet, tookMs: 800 }
  for (const [says, facts, expected] of [
    ['a short one every second', { ...short, pausedMs: 1000 }, true],
    ['not more often', { ...short, pausedMs: 900 }, false],
    ['earlier when half of the rest is gone', { ...short, pausedMs: 20, lost: left }, true],
    ['a long one not without a loss', { ...long, pausedMs: 100_000 }, false],
    ['but after some minutes', { ...long, pausedMs: 300_000 }, true],
    ['with a loss', { ...long, pausedMs: 16_000, lost: { bytes: 30 * MB, files: 0 } }, true],
    ['of files, too', { ...long, pausedMs: 16_000, lost: { bytes: 0, files: 300 } }, true],
    ['after a pause', { ...long, pausedMs: 15_000, lost: { bytes: 30 * MB, files: 0 } }, false],
    ['a great loss', { ...long, pausedMs: 2000, lost: { bytes: 0, files: 6000 } }, true],
    ['after a short pause', { ...long, pausedMs: 1500, lost: { bytes: 0, files: 6000 } }, false],
    ['where no files are counted', { ...long, pausedMs: 16_000, countsNoFiles: true }, true]
  ] as const) {
    t.equal(decideWalk(facts), expected, says)
  }
})

t.test('admits an agent by number and by memory', async (t) => {
  const decide = (usedBytes: (number | undefined)[], memoryBytesMax = 2 * PLANNED_BYTES) =>
    decideAdmission({ agentsMax: 3, memoryBytesMax, usedBytes })
  t.equal(decide([], 1), 'admit', 'the first one always')
  t.equal(decide([PLANNED_BYTES]), 'admit')
  t.equal(decide([PLANNED_BYTES + 1]), 'no-memory')
  t.equal(decide([undefined]), 'admit', 'one that starts counts as planned')
  t.equal(decide([undefined, undefined]), 'no-memory')
  t.equal(decide([1, 1]), 'admit')
  t.equal(decide([1, 1, 1]), 'all-taken')
  t.equal(decide([undefined, 1e12], Infinity), 'admit')
})

t.test('lets the kernel count processes where it counts them for each room', async (t) => {
  for (const [version, expected] of [
    ['5.10.0-28-amd64', false],
    ['5.14.0', true],
    ['6.1.0-18', true],
    ['4.19.0', false]
  ] as const) {
    t.equal(countsPerNamespace(version), expected, version)
  }
  const line = limited({ processesMax: 7, openFilesMax: 8, fileBytesMax: 1025, nice: 3 }, [
    '/bin/program',
    'a b'
  ])
  t.same(line.slice(-2), ['/bin/program', 'a b'])
  t.equal(line.at(5), '3', 'in blocks of 512 bytes')
})
