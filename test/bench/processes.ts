import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '../..')

export interface Running extends AsyncDisposable {
  readonly url: string
  readonly pid: number
}

/**
 * Starts a program of ours as a process of its own, as in production: the measured program must not share its event loop
 * with the measuring one. Resolves with the address that it prints.
 */
export const start = (
  program: string,
  args: readonly string[],
  env: Record<string, string>,
  nodeArgs: readonly string[] = []
): Promise<Running> =>
  startProgram(process.execPath, [...nodeArgs, join(ROOT, program), ...args], env)

/** The same for any program that says where it listens. */
export async function startProgram(
  program: string,
  args: readonly string[],
  env: Record<string, string>
): Promise<Running> {
  const child = spawn(program, args, {
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const ended = once(child, 'exit')
  const printed = Promise.withResolvers<string>()
  let output = ''
  child.stdout.on('data', (piece: Buffer) => {
    output += piece.toString()
    const url = /(?:listening on |"url":")(http:[^"\s]+)/.exec(output)?.[1]
    if (url !== undefined) printed.resolve(url)
  })
  void ended.then(() => printed.reject(new Error(`${program} did not start: ${output}`)))

  return {
    url: await printed.promise,
    pid: child.pid!,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM')
      await ended
    }
  }
}
