import t from 'tap'
import { priceOf, readPriceList, type Price } from '#billing'
import { script } from '#fixtures'
import { parseCredits } from '#kernel/money.ts'
import { runsOf, SEED } from '../helpers/property.ts'
import { givenProject, seen, startProduct } from '../helpers/product.ts'
import { createRandom } from '../helpers/random.ts'

const MOMENTS = runsOf({ usual: 2, deep: 25 })
const SUB_AGENTS = 8
const MS_MAX = 3000
const QUIET_MS = 700

/** A cancelled job's sub-agents used to go on in the warm Kilo: the next job paid for them and kept their files. */
t.test('no sub-agent of a cancelled job works in the next', async (t) => {
  const { user, model } = await startProduct(t)
  const client = await user(10_000)
  const project = await givenProject(client)
  const price = (await readPriceList()).find('openai-compatible/scripted') as Price
  const random = createRandom(SEED)
  const task = (name: string) => {
    const steps = Array.from({ length: 4 }, (_, at) => ({
      ...{ say: 'word '.repeat(4), chunks: 4, chunkMs: 40, tool: 'write' },
      input: { filePath: `{{worktree}}/${name}-${at}.txt`, content: name }
    }))
    const prompt = `${name} ${script(...steps, { say: 'done' })}`
    return { tool: 'task', input: { description: name, prompt, subagent_type: 'general' } }
  }

  for (let moment = 0; moment < MOMENTS; moment += 1) {
    const names = Array.from({ length: SUB_AGENTS }, (_, at) => `sub-${moment}-${at}`)
    const jobId = await project.submit(script({ tools: names.map(task) }, { say: 'never' }))
    await seen(client, jobId, 'job:tool')
    const waitMs = Math.floor(random() * MS_MAX)
    await new Promise((resolve) => setTimeout(resolve, waitMs))
    await client.call('POST', `/jobs/${jobId}/cancel`)
    const cancelled = await project.story(jobId)
    t.equal(cancelled.last.type, 'job:error', `cancelled after ${waitMs} ms`)

    const served = model.requests.length
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS))
    t.equal(model.requests.length, served, 'no request comes after its end')
    const next = await project.run(script({ say: 'Mine.' }))
    const { credits } = next.only('job:success')
    const own = model.requests.slice(served)
    t.equal(own.length, 1)
    t.equal(parseCredits(credits.charged), priceOf(own[0]!.usage, price), 'it pays for its own')
    t.same(next.all('job:file-created'), [])
  }
  const { body } = await client.call<{ files: { path: string }[] }>(
    'GET',
    `/projects/${project.id}/files`
  )
  t.same(body.files, [], 'main has no file of theirs')
})
