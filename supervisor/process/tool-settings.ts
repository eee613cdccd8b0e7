import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Log } from '#kernel/log.ts'

const run = promisify(execFile)

/** npm reads its files within half a second; a busy machine needs more. */
const NPM_MS = 20_000

/** What npm and Node are configured with on this machine, for the server's user and folder. */
export interface ToolSettings {
  /** With a slash at the end; undefined when it has none or holds a password. */
  readonly registry: string | undefined
  /** The file that replaces npm's list of certificate authorities. */
  readonly npmCaFile: string | undefined
  /** The file that adds to Node's list: NODE_EXTRA_CA_CERTS. */
  readonly nodeCaFile: string | undefined
}

export async function readToolSettings(log: Log): Promise<ToolSettings> {
  const npm = await askNpm().catch((err: unknown) => {
    log.warn({ err }, 'failed to read the settings of npm')
    return { registry: undefined, npmCaFile: undefined }
  })
  return { ...npm, nodeCaFile: process.env['NODE_EXTRA_CA_CERTS'] || undefined }
}

/** Asks npm itself, because its settings come from five places. Rejects when there is no npm, or it does not answer. */
async function askNpm(): Promise<Omit<ToolSettings, 'nodeCaFile'>> {
  const { stdout } = await run('npm', ['config', 'get', 'registry', 'cafile'], {
    timeout: NPM_MS,
    killSignal: 'SIGKILL'
  })
  const values = new Map(
    stdout.split('\n').map((line) => {
      const [name = '', ...value] = line.split('=')
      return [name, value.join('=').trim()] as const
    })
  )
  const registry = URL.parse(values.get('registry') ?? '')
  const caFile = values.get('cafile')
  return {
    registry: registry && !registry.username && !registry.password ? registry.href : undefined,
    npmCaFile: caFile === '' || caFile === 'null' ? undefined : caFile
  }
}
