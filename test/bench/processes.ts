import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '../..')

export interface Running extends AsyncDisposable {
  readonly url: string
}

/**
 * A program of ours as a process of its own, as it is in earnest: what is measured must not share its event loop with
 * whoever measures. Resolves with the address that it prints.
 */
export async function start(
  program: string,
  args: readonly string[],
  env: Record<string, string>
): Promise<Running> {
  const child = spawn(process.execPath, [join(ROOT, program), ...args], {
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const ended = once(child, 'exit')
  const printed = Promise.withResolvers<string>()
  let said = ''
  child.stdout.on('data', (piece: Buffer) => {
    said += piece.toString()
    const url = /(?:listening on |"url":")(http:[^"\s]+)/.exec(said)?.[1]
    if (url !== undefined) printed.resolve(url)
  })
  void ended.then(() => printed.reject(new Error(`${program} did not start: ${said}`)))

  return {
    url: await printed.promise,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM')
      await ended
    }
  }
}
