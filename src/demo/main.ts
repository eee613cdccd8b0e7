import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { styleText } from 'node:util'
import { readConfig } from '#config'
import { startScriptedModel } from '#fixtures'
import { compose } from '../compose/compose.ts'
import { createLogger } from '../compose/logger.ts'
import { runStory } from './story.ts'

/** Ctrl-C ends the demo, with the same cleanup as its normal end. */
const interrupted = () => once(process, 'SIGINT').then(() => false)

/** Settings of a real installation that the demo ignores. */
const EMBEDDED = Object.fromEntries(
  ['DATABASE_URL', 'REDIS_URL', 'ROLE', 'PROJECTS_DIR', 'ADMIN_API_KEY'].map((name) => [
    name,
    undefined
  ])
)

/**
 * Runs the embedded product without any setup, with the real Kilo, in a temporary folder. The model is Claude when
 * ANTHROPIC_API_KEY is set, else a scripted one.
 */
async function main(): Promise<boolean> {
  await using closing = new AsyncDisposableStack()
  const dataDir = await mkdtemp(join(tmpdir(), 'kilowatt-demo-'))
  closing.defer(() => rm(dataDir, { recursive: true, force: true }))
  const { ANTHROPIC_API_KEY } = process.env

  const settings = { LOG_LEVEL: 'error', ...process.env, ...EMBEDDED, DATA_DIR: dataDir, PORT: '0' }
  if (!ANTHROPIC_API_KEY) {
    const model = closing.use(await startScriptedModel({ chunkMs: 15 }))
    Object.assign(settings, {
      MODEL: 'openai-compatible/scripted',
      OPENAI_COMPATIBLE_BASE_URL: model.url,
      OPENAI_COMPATIBLE_API_KEY: 'demo'
    })
  }

  const config = readConfig(settings, process.cwd())
  const server = closing.use(await compose(config, createLogger(config.logLevel)))
  const model = ANTHROPIC_API_KEY ? 'Claude' : 'a scripted model (set ANTHROPIC_API_KEY for Claude)'
  process.stdout.write(`${styleText('bold', 'Kilowatt')} at ${server.url}, with ${model}\n`)
  process.stdout.write(styleText('dim', `Kilo runs in isolation: ${server.isolation}\n`))
  // Awaited here: the server closes when this scope ends.
  return await Promise.race([runStory(server, process.stdout), interrupted()])
}

main().then(
  (succeeded) => process.exit(succeeded ? 0 : 1),
  (error: unknown) => {
    process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n`)
    process.exit(1)
  }
)
