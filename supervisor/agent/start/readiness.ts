import { unavailable } from '../../agent-failure.ts'
import type { KiloClient } from '../../kilo/client.ts'
import type { KiloProcess } from '../kilo-process.ts'
import { modesOf } from '../kilo-config.ts'
import type { StartPatience } from './patience.ts'

export interface Ready {
  readonly version: string
  readonly modes: readonly string[]
}

export interface ReadinessOptions {
  readonly kilo: KiloProcess
  /** Its requests must not time out before the start does. */
  readonly client: Pick<KiloClient, 'version' | 'isGuarded' | 'warnings' | 'agents'>
  /** The event stream is open. */
  readonly streamOpened: Promise<void>
  readonly patience: StartPatience
  readonly healthMs: number
}

/**
 * Ready is more than listening: Kilo responds with the password and refuses without it, accepted its whole
 * configuration, and its event stream is open.
 */
export async function awaitReady(options: ReadinessOptions): Promise<Ready> {
  const { kilo, client, patience } = options
  // The list of agents makes Kilo open the project, which the first turn would pay for.
  const answers = Promise.all([
    client.version(),
    client.isGuarded(),
    client.warnings(),
    client.agents(),
    options.streamOpened
  ]).catch(async (error: Error) => {
    const how = (await kilo.endedWithin()) ?? `did not respond (${error.message})`
    throw unavailable(`Kilo ${how} while it started.${kilo.lastOutput()}`)
  })
  const answersHealth = () =>
    client.version(options.healthMs).then(
      () => true,
      () => false
    )
  const ready = await patience.await(answers, answersHealth)
  if (!ready) {
    throw unavailable(`Kilo was not ready within ${patience.boundSeconds()} s.${kilo.lastOutput()}`)
  }

  const [version, isGuarded, warnings, agents] = ready
  if (!isGuarded) throw unavailable('Kilo responds to requests without its password.')
  if (warnings.length > 0) {
    throw unavailable(`Kilo did not accept its configuration: ${warnings.join('; ')}`)
  }
  // It may have exited after its last response.
  if (kilo.state !== 'starting') throw unavailable(`Kilo ${await kilo.exited} while it started.`)
  kilo.markReady()
  return { version, modes: modesOf(agents) }
}
