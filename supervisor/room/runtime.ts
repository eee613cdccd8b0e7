import { mkdir } from 'node:fs/promises'
import type { Log } from '#kernel/log.ts'
import { jailProblem } from './bubblewrap.ts'
import { findBubblewrap, findKilo, findRipgrep, type KiloBinary } from './kilo-binary.ts'
import type { SupervisorOptions } from '../options.ts'

/** The programs that agents run with on this machine. */
export interface Runtime {
  readonly kilo: KiloBinary
  readonly ripgrep: string | undefined
  /** Undefined: agents are plain processes without isolation. */
  readonly jail: { readonly bubblewrap: string } | undefined
}

/** Finds Kilo and its sandbox. Rejects when the requested isolation is not possible here. */
export async function findRuntime(
  options: Pick<SupervisorOptions, 'kiloBin' | 'isolation' | 'bubblewrapFolders' | 'agentsDir'>,
  log: Log
): Promise<Runtime> {
  const kilo = await findKilo(options.kiloBin)
  const ripgrep = await findRipgrep()
  if (!ripgrep) log.warn({}, 'ripgrep is missing: agents cannot search files')
  if (options.isolation === 'process') return { kilo, ripgrep, jail: undefined }

  await mkdir(options.agentsDir, { recursive: true, mode: 0o700 })
  const bubblewrap = await findBubblewrap(kilo, options.bubblewrapFolders)
  const problem = await jailProblem(bubblewrap, options.agentsDir, kilo)
  if (problem === undefined && bubblewrap) return { kilo, ripgrep, jail: { bubblewrap } }
  if (options.isolation === 'bubblewrap') {
    throw new Error(`Agents cannot be isolated with bubblewrap here: ${problem}`)
  }
  log.warn({ problem }, 'agents run without isolation')
  return { kilo, ripgrep, jail: undefined }
}
