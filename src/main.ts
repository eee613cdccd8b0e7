import { once } from 'node:events'
import { HELP, readConfig } from '#config'
import { compose } from './compose.ts'
import { createLogger } from './logger.ts'

/** The whole life of the product: read, compose, listen, wait for a signal, leave. */
async function main(): Promise<void> {
  if (process.argv.includes('--help') || process.argv.includes('-h')) {
    process.stdout.write(HELP)
    return
  }
  const config = readConfig(process.env, process.cwd())
  const log = createLogger(config.logLevel)

  const stopping = Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')])
  await using product = await compose(config, log)
  log.info({ url: product.url, isolation: product.isolation }, 'kilowatt listening')
  if (product.adminKeyPath) log.info({ path: product.adminKeyPath }, 'operator key made')
  if (config.providers.length === 0) {
    log.warn({ settings: ['ANTHROPIC_API_KEY', 'OPENAI_COMPATIBLE_BASE_URL'] }, 'no model provider')
  }

  await stopping
  log.info({}, 'kilowatt stopping')
}

/** A start that fails says why in one line, and leaves nothing behind. */
main().then(
  () => process.exit(0),
  (error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error)
    process.stderr.write(`kilowatt: ${reason.split('\n', 1)[0]}\n`)
    process.exit(1)
  }
)
