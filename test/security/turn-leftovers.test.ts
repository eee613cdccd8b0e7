import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { script } from '#fixtures'
import { processesWith } from '../helpers/processes.ts'
import { givenProject, seen, startProduct } from '../helpers/product.ts'

const WRITES = 'while true; do echo late >> late.txt; sleep 0.02; done'

/** Processes that a job's commands leave behind, in each way that detaches one from the command that started it. */
const LEFTOVERS: [name: string, command: string][] = [
  ['in the background', `(${WRITES}) > /dev/null 2>&1 &`],
  ['in a session of its own', `setsid bash -c '${WRITES}' > /dev/null 2>&1 &`],
  ['forked twice', `(setsid bash -c '(${WRITES}) &' > /dev/null 2>&1 &)`],
  ['deaf to signals', `setsid bash -c 'trap "" HUP INT TERM; ${WRITES}' > /dev/null 2>&1 &`],
  [
    'that replaces itself',
    `setsid bash -c 'f() { echo late >> late.txt; sleep 0.02; (f &) }; f; sleep 99' > /dev/null 2>&1 &`
  ]
]

async function playLeftovers(t: Test, env: Record<string, string>) {
  const { user } = await startProduct(t, { env })
  const client = await user()
  const project = await givenProject(client)
  const isolated = env['ISOLATION'] !== 'process'

  for (const [name, command] of LEFTOVERS) {
    await t.test(name, async (t) => {
      const bash = { tool: 'bash', input: { command: `${command} sleep 0.2`, description: 'x' } }
      const jobId = await project.submit(script(bash, { say: 'Done.' }))
      if (!isolated) {
        const { permissionId } = await seen(client, jobId, 'job:permission')
        await client.call('POST', `/jobs/${jobId}/permissions/${permissionId}`, { reply: 'once' })
      }
      t.equal((await project.story(jobId)).last.type, 'job:success')
      t.same(await processesWith('late.txt'), [], 'no process is left')
      const before = await project.read('late.txt')
      t.ok(before, 'it wrote while the job ran')
      await sleep(200)
      t.equal(await project.read('late.txt'), before, 'nothing is written any more')
    })
  }

  await t.test('the next job commits nothing of them', async (t) => {
    const file = { filePath: '{{worktree}}/own.txt', content: 'own' }
    const story = await project.run(script({ tool: 'write', input: file }, { say: 'ok' }))
    t.same(
      story.only('job:diff').files.map(({ path }) => path),
      ['own.txt']
    )
  })
}

t.test('a job leaves no process behind in its room', (t) => playLeftovers(t, {}))

t.test('nor does it without isolation', (t) => playLeftovers(t, { ISOLATION: 'process' }))
