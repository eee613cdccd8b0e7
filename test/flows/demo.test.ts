import { execFile } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'

t.test('the demo tells its story, ends well, and leaves nothing behind', async (t) => {
  const tmp = t.testdir({})
  const { stdout, stderr } = await promisify(execFile)(
    process.execPath,
    [join(import.meta.dirname, '../../src/demo/main.ts')],
    {
      env: {
        ...{ PATH: process.env['PATH'] ?? '', TMPDIR: tmp },
        ...{ NO_COLOR: '1', DATABASE_URL: 'postgres://unused' }
      }
    }
  )
  for (const part of [
    'Add a shopping list screen with categories',
    '● queued',
    '● running',
    '+ src/screens/ShoppingListScreen.tsx',
    'diff --git a/src/data/categories.ts',
    '● done     merged, commit ',
    /wallet: [\d.]+ left of 100/
  ]) {
    t.match(stdout, part)
  }
  t.notMatch(stdout, '\u001b', 'no colours for a pipe that wants none')
  t.equal(stderr, '')
  t.same(
    (await readdir(tmp)).filter((name) => name.startsWith('kilowatt-demo-')),
    []
  )
})
