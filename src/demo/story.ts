import { randomUUID } from 'node:crypto'
import { styleText } from 'node:util'
import { isTerminalFrame, type Frame } from '#kernel/frames.ts'
import { createApiClient, type ApiClient } from './api-client.ts'
import { createFrameShow, paintPatch } from './show-frame.ts'

const PROMPT = 'Add a shopping list screen with categories'
const CREDITS = 100
const STARTER = [
  { path: 'README.md', content: '# Pantry\n\nA small app that Kilowatt works on.\n' },
  {
    path: 'package.json',
    content: `${JSON.stringify({ name: 'pantry', private: true, type: 'module' }, null, 2)}\n`
  }
]

interface Wallet {
  balance: number
  reserved: number
  spent: number
}
interface Diff {
  files: { path: string; status: string; additions: number; deletions: number }[]
}

/**
 * The main use case from a client's view: create a user with credits and a project, send a prompt, show the frames as
 * they arrive, then the diff and the cost. Returns whether the job succeeded.
 */
export async function runStory(
  server: { readonly url: string; readonly adminKey: string },
  out: NodeJS.WritableStream
): Promise<boolean> {
  const heading = (text: string) => out.write(`\n${styleText(['bold', 'underline'], text)}\n`)
  const client = await createUser(server)
  const project = await client.post<{ id: string }>('/projects', { name: 'pantry', files: STARTER })

  heading(`“${PROMPT}”`)
  const frames = await client.watch(project.id)
  const startedAt = performance.now()
  const { jobId } = await client.post<{ jobId: string }>(`/projects/${project.id}/ai-command`, {
    text: PROMPT
  })
  const last = await showJob(frames, jobId, out)
  out.write(styleText('dim', `  ${((performance.now() - startedAt) / 1000).toFixed(1)} s\n`))

  heading('Changes')
  const { files } = await client.get<Diff>(`/jobs/${jobId}/diff`)
  for (const { path, additions, deletions } of files) {
    const plus = styleText('green', `+${additions}`)
    out.write(`  ${plus} ${styleText('red', `-${deletions}`)}  ${path}\n`)
  }
  out.write(`\n${paintPatch(await client.text(`/jobs/${jobId}/diff`, 'text/x-diff'))}\n`)

  heading('Cost')
  const { credits } = last.data as { credits: { charged: number; refunded: number } }
  const wallet = await client.get<Wallet>('/wallet')
  out.write(
    `  ${credits.charged} credits charged, ${credits.refunded} of the reservation released\n`
  )
  out.write(`  wallet: ${wallet.balance} left of ${CREDITS}, ${wallet.spent} spent\n\n`)
  return last.type === 'job:success'
}

async function createUser({
  url,
  adminKey
}: {
  url: string
  adminKey: string
}): Promise<ApiClient> {
  const operator = createApiClient(url, adminKey)
  const { apiKey } = await operator.post<{ apiKey: string }>('/users', { name: 'demo' })
  const client = createApiClient(url, apiKey)
  await client.post('/wallet/purchase', { credits: CREDITS }, { 'idempotency-key': randomUUID() })
  return client
}

async function showJob(
  frames: AsyncIterable<Frame>,
  jobId: string,
  out: NodeJS.WritableStream
): Promise<Frame> {
  const show = createFrameShow(out)
  for await (const frame of frames) {
    if (frame.jobId !== jobId) continue
    show(frame)
    if (isTerminalFrame(frame)) return frame
  }
  throw new Error('the stream ended before the job')
}
