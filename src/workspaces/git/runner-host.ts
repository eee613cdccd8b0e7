import { fork, type ChildProcess } from 'node:child_process'
import { channel } from 'node:diagnostics_channel'
import { join } from 'node:path'
import type { GitAnswer, GitCommand } from './run-git.ts'
import type { FromRunner, ToRunner } from './runner.ts'

export type RunGit = (command: GitCommand, signal?: AbortSignal) => Promise<GitAnswer>

export interface GitHost extends Disposable {
  readonly run: RunGit
}

/** Published for every git command: a test proves with it that none runs inside of a database transaction. */
const commands = channel('kilowatt:git')

const RUNNER = join(import.meta.dirname, 'runner.ts')

/**
 * Runs git from a small process of our own. Forking copies the page tables of whoever forks: from a server that holds
 * a database that stopped everything for 26 ms a command, from here it is 2 ms and stops nobody
 * (docs/decisions/0009-git-from-a-small-process.md). A runner that dies fails what it was doing; the next command
 * starts another.
 */
export function createGitHost(): GitHost {
  const waiting = new Map<number, PromiseWithResolvers<GitAnswer>>()
  let runner: ChildProcess | undefined
  let lastId = 0

  const start = (): ChildProcess => {
    const child = fork(RUNNER, { env: {}, execArgv: [], serialization: 'advanced', stdio: QUIET })
    child.on('message', (message: FromRunner) => {
      const asked = waiting.get(message.id)
      if ('answer' in message) asked?.resolve(message.answer)
      else asked?.reject(new Error(message.error))
    })
    const gone = () => {
      if (runner !== child) return
      runner = undefined
      for (const asked of waiting.values()) asked.reject(new Error('the git runner ended'))
    }
    child.on('exit', gone).on('error', gone)
    // It leaves when we do: the end of its channel is its end.
    child.unref()
    child.channel?.unref()
    return child
  }

  return {
    async run(command, signal) {
      signal?.throwIfAborted()
      commands.publish(command)
      runner ??= start()
      const id = (lastId += 1)
      const asked = Promise.withResolvers<GitAnswer>()
      const send = (message: ToRunner) => runner?.send(message)
      const abort = () => void send({ id, abort: true })
      waiting.set(id, asked)
      signal?.addEventListener('abort', abort)
      // While a command runs, the process must not end for want of anything else to do.
      runner.channel?.ref()
      try {
        send({ id, command })
        return await asked.promise
      } finally {
        waiting.delete(id)
        signal?.removeEventListener('abort', abort)
        if (waiting.size === 0) runner?.channel?.unref()
      }
    },

    [Symbol.dispose]() {
      runner?.kill()
      runner = undefined
    }
  }
}

const QUIET = ['ignore', 'ignore', 'inherit', 'ipc'] as ['ignore', 'ignore', 'inherit', 'ipc']
