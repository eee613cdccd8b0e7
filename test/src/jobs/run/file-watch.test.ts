import t from 'tap'
import { createFileWatch } from '../../../../src/jobs/run/file-watch.ts'
import type { JobRun } from '../../../../src/jobs/run/run-context.ts'

/** A job whose worktree is empty; counts how often git is asked. */
function given() {
  let reads = 0
  const workspace = {
    async changes() {
      reads += 1
      return []
    }
  }
  const files = createFileWatch({
    base: 'c0',
    workspace,
    writer: { write() {} }
  } as unknown as JobRun)
  return { files, reads: () => reads }
}

t.test('without a tool the read at the end of the turn is not repeated', async (t) => {
  const { files, reads } = given()
  files.schedule()
  await files.read()
  t.equal(reads(), 1)
})

t.test(
  'a process of a tool may write until it is ended, so the worktree is read again',
  async (t) => {
    const { files, reads } = given()
    files.toolSeen()
    files.schedule()
    await files.read()
    t.equal(reads(), 2)
  }
)

t.test('a turn that ended without a scheduled read is read', async (t) => {
  const { files, reads } = given()
  await files.read()
  t.equal(reads(), 1)
})
