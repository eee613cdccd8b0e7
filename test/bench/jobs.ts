import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { script } from '#fixtures'
import { isTerminalFrame, type Frame } from '#kernel/frames.ts'
import { createApiClient } from '../../src/demo/api-client.ts'
import { startBareKilo, kiloRun } from './bare-kilo.ts'
import { median, ratio, sideBySide, timed } from './measure.ts'
import { start } from './processes.ts'

const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 12)
const RUN_ROUNDS = Number(process.env['BENCH_RUN_ROUNDS'] ?? 3)

/**
 * The same prompt by Kilowatt, by the bare SDK on a warm `kilo serve` of the same configuration, and by `kilo run`,
 * in turn, for a text answer and for writing a file. Prints medians, and the ratios that our aims are about.
 */
export async function benchJobs(print: (line: string) => void): Promise<void> {
  await using closing = new AsyncDisposableStack()
  const dir = await mkdtemp(join(tmpdir(), 'kilowatt-bench-'))
  closing.defer(() => rm(dir, { recursive: true, force: true }))
  const model = closing.use(await start('fixtures/scripted-model/main.ts', [], {}))
  const access = {
    id: 'openai-compatible' as const,
    baseUrl: model.url,
    apiKey: 'bench',
    models: [{ id: 'scripted', contextTokens: 200_000, outputTokens: 2000 }]
  }
  const worktree = join(dir, 'bare-worktree')
  await mkdir(worktree)

  const dataDir = join(dir, 'data')
  const product = closing.use(
    await start('src/main.ts', [], {
      DATA_DIR: dataDir,
      PORT: '0',
      MODEL: 'openai-compatible/scripted',
      OPENAI_COMPATIBLE_BASE_URL: model.url,
      OPENAI_COMPATIBLE_API_KEY: 'bench'
    })
  )
  const adminKey = (await readFile(join(dataDir, 'admin-key'), 'utf8')).trim()
  const kilowatt = await openKilowatt({ url: product.url, adminKey })
  const cold = await kilowatt.firstLog(script({ say: 'Hello.' }))
  const bare = closing.use(await startBareKilo(dir, worktree, [access]))

  let files = 0
  const prompts = {
    'text answer': () => script({ say: 'Hello, this is the answer.' }),
    'write a file': () => {
      const filePath = `{{worktree}}/file-${(files += 1)}.txt`
      return script({ tool: 'write', input: { filePath, content: 'one\n' } }, { say: 'Done.' })
    }
  }

  for (const [name, prompt] of Object.entries(prompts)) {
    const warm = await sideBySide(
      {
        kilowatt: () => timed(() => kilowatt.job(prompt())),
        bare: () => timed(() => bare.prompt(prompt()))
      },
      ROUNDS
    )
    const process = await sideBySide(
      {
        kilowatt: () => timed(() => kilowatt.job(prompt())),
        run: () => timed(() => kiloRun(dir, worktree, [access], prompt()))
      },
      RUN_ROUNDS
    )
    const ms = (taken: number[]) => `${median(taken).toFixed(0)} ms`
    print(name)
    print(`  kilowatt, POST to job:success       ${ms(warm.kilowatt)}`)
    print(`  bare SDK, warm kilo serve           ${ms(warm.bare)}`)
    print(`  kilo run, a process a prompt        ${ms(process.run)}`)
    print(`  kilowatt / bare SDK                 ${ratio(warm.kilowatt, warm.bare).toFixed(2)} ×`)
    print(
      `  kilo run / kilowatt                 ${ratio(process.run, process.kilowatt).toFixed(1)} ×`
    )
  }

  const warmLogs = []
  for (let round = 0; round < ROUNDS; round += 1) {
    warmLogs.push(await kilowatt.firstLog(script({ say: 'Hello.' })))
  }
  print('POST to the first job:log')
  print(`  on a warm project                   ${median(warmLogs).toFixed(0)} ms`)
  print(`  on a cold project                   ${cold.toFixed(0)} ms`)
}

/** A client with one project, as a browser would be. */
async function openKilowatt(product: { url: string; adminKey: string }) {
  const operator = createApiClient(product.url, product.adminKey)
  const { apiKey } = await operator.post<{ apiKey: string }>('/users')
  const client = createApiClient(product.url, apiKey)
  const once = { 'idempotency-key': 'bench' }
  await client.post('/wallet/purchase', { credits: 100_000 }, once)
  const project = await client.post<{ id: string }>('/projects', { name: 'bench' })
  const frames = await client.watch(project.id)

  const until = async (text: string, wanted: (frame: Frame) => boolean) => {
    await client.post(`/projects/${project.id}/ai-command`, { text })
    for (;;) {
      const { value } = await frames.next()
      if (value === undefined) throw new Error('the socket was closed')
      if (value.type === 'job:error') throw new Error(JSON.stringify(value.data))
      if (wanted(value)) return
    }
  }

  return {
    job: (text: string) => until(text, isTerminalFrame),
    /** Milliseconds from the request to the first word of the answer; the job is waited for. */
    async firstLog(text: string): Promise<number> {
      const ms = await timed(() => until(text, ({ type }) => type === 'job:log'))
      for (;;) {
        const { value } = await frames.next()
        if (value === undefined || isTerminalFrame(value)) return ms
      }
    }
  }
}
