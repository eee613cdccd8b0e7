import { once } from 'node:events'
import { parseArgs } from 'node:util'
import { HELP, readConfig } from '#config'
import { compose } from './compose/compose.ts'
import { createLogger } from './compose/logger.ts'

/** The life of the process: read the settings, compose, listen, wait for a signal, close. */
async function main(): Promise<void> {
  // Unknown options are errors: a setting given as an option must not be ignored.
  const { values } = parseArgs({ options: { help: { type: 'boolean', short: 'h' } } })
  if (values.help) return void process.stdout.write(HELP)

  const config = readConfig(process.env, process.cwd())
  const log = createLogger(config.logLevel)

  const stopping = Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')])
  await using product = await compose(config, log)
  const { url, isolation, network, uid } = product
  log.info({ url, isolation, network, uid }, 'kilowatt listening')
  if (product.metricsUrl) log.info({ url: product.metricsUrl }, 'metrics listening')
  if (product.adminKeyPath) log.info({ path: product.adminKeyPath }, 'operator key created')
  const { model, providers } = config
  if (!providers.some(({ id }) => model.startsWith(`${id}/`))) {
    const settings = ['MODEL', 'ANTHROPIC_API_KEY', 'OPENAI_COMPATIBLE_BASE_URL']
    log.warn({ model, settings }, 'no provider for the default model')
  }

  await stopping
  log.info({}, 'kilowatt stopping')
}

/** A failed start prints its reason in one line. */
main().then(
  () => process.exit(0),
  (error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error)
    process.stderr.write(`kilowatt: ${reason.split('\n', 1)[0]}\n`)
    process.exit(1)
  }
)
