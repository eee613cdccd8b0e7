import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { script } from '#fixtures'
import { processesWith } from '../helpers/processes.ts'
import { givenProject, seen, startProduct } from '../helpers/product.ts'
import { usableBubblewrap } from '../helpers/rooms/usable-bubblewrap.ts'

const WRITES = 'while true; do echo late >> late.txt; sleep 0.02; done'

/** Processes that a job's commands leave behind, in each way that detaches one from the command that started it. */
const LEFTOVERS = [
  ['in the background', `(${WRITES}) > /dev/null 2>&1 &`],
  ['in a session of its own', `setsid bash -c '${WRITES}' > /dev/null 2>&1 &`],
  ['forked twice', `(setsid bash -c '(${WRITES}) &' > /dev/null 2>&1 &)`],
  ['deaf to signals', `setsid bash -c 'trap "" HUP INT TERM; ${WRITES}' > /dev/null 2>&1 &`]
] as const

/** Always found in a namespace; among the processes of a whole machine a search can miss it. */
const SELF_REPLACING = [
  'that replaces itself',
  `setsid bash -c 'f() { echo late >> late.txt; sleep 0.02; (f &) }; f; sleep 99' > /dev/null 2>&1 &`
] as const

/** Without a namespace it is found by the folder that it uses. */
const WITHOUT_ENVIRONMENT = [
  'in a session and an environment of its own',
  `env -i PATH=/usr/bin:/bin setsid bash -c '${WRITES}' > /dev/null 2>&1 &`
] as const

type Leftover = readonly [name: string, command: string]

async function playLeftovers(t: Test, leftovers: readonly Leftover[], env: Record<string, string>) {
  const { user } = await startProduct(t, { env })
  const client = await user()
  const project = await givenProject(client)
  const isolated = env['ISOLATION'] !== 'process'

  for (const [name, command] of leftovers) {
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

const skip = usableBubblewrap === undefined && 'bubblewrap cannot be used on this machine'

t.test('a job leaves no process behind in its room', { skip }, (t) =>
  playLeftovers(t, [...LEFTOVERS, SELF_REPLACING, WITHOUT_ENVIRONMENT], {})
)

t.test('nor does it without isolation', (t) =>
  playLeftovers(t, [...LEFTOVERS.slice(0, 2), WITHOUT_ENVIRONMENT], { ISOLATION: 'process' })
)
