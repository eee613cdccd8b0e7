import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

export const hasPerl = spawnSync('perl', ['-v']).status === 0

/** Exchanges two names as fast as it can, in a process of its own, until it is disposed. */
export async function exchange(one: string, other: string): Promise<AsyncDisposable> {
  const child = spawn('perl', [join(import.meta.dirname, 'exchange.pl'), one, other], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  await Promise.race([
    once(child.stdout, 'data'),
    once(child, 'exit').then(([code]) => Promise.reject(new Error(`no exchange: ${code}`)))
  ])
  return {
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      if (existsSync(`/proc/${child.pid}`)) await once(child, 'exit')
    }
  }
}
