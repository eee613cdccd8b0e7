import { within } from '#kernel/waiting.ts'
import type { KiloClient } from '../kilo/client.ts'
import { modesOf } from '../room/kilo-config.ts'
import type { KiloProcess } from '../process/kilo-process.ts'
import { unavailable } from '../agent-failure.ts'

export interface Ready {
  readonly version: string
  readonly modes: readonly string[]
}

/** Ready is more than listening: it lives, answers us and nobody else, took its whole configuration, and we hear it. */
export async function awaitReady(
  kilo: KiloProcess,
  client: KiloClient,
  heard: Promise<void>,
  startMs: number
): Promise<Ready> {
  // The list of agents is what makes Kilo open the project, which the first turn would pay for.
  const answers = Promise.all([
    client.version(),
    client.isGuarded(),
    client.warnings(),
    client.agents(),
    heard
  ]).catch(async (error: Error) => {
    const how = await kilo.endedWithin()
    const line = kilo.lastLine()
    throw unavailable(
      `Kilo ${how ?? `did not answer (${error.message})`} while it started${line ? `; its last words: ${line}` : '.'}`
    )
  })
  const ready = await within(answers, startMs)
  if (!ready) throw unavailable(`Kilo was not ready within ${startMs / 1000} s.`)

  const [version, isGuarded, warnings, agents] = ready
  if (!isGuarded) throw unavailable('Kilo answers without its password.')
  if (warnings.length > 0) {
    throw unavailable(`Kilo did not take its configuration: ${warnings.join('; ')}`)
  }
  // It may have died while the last answer was on its way.
  if (kilo.state !== 'starting') throw unavailable(`Kilo ${await kilo.exited} while it started.`)
  kilo.markReady()
  return { version, modes: modesOf(agents) }
}
