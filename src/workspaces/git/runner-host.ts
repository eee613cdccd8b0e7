import { fork, type ChildProcess, type StdioOptions } from 'node:child_process'
import { channel } from 'node:diagnostics_channel'
import { join } from 'node:path'
import type { JailedCommand } from './jail.ts'
import type { GitAnswer, GitCommand } from './run-git.ts'
import type { FromRunner, ToRunner } from './runner.ts'

export type RunGit = (
  command: GitCommand | JailedCommand,
  signal?: AbortSignal
) => Promise<GitAnswer>

export interface GitHost extends Disposable {
  readonly run: RunGit
}

/** Published for every git command: a test proves with it that none runs inside of a database transaction. */
const commands = channel('kilowatt:git')

const RUNNER = join(import.meta.dirname, 'runner.ts')

/**
 * Runs git from a small child process. Forking copies the page tables of the parent: a server with an embedded database
 * was blocked for 26 ms by each command; the small process needs 2 ms and blocks no other work
 * (docs/decisions/0009-git-from-a-small-process.md). When the runner dies, its commands in progress fail, and the next
 * command starts a new runner.
 */
export function createGitHost(): GitHost {
  const pending = new Map<number, PromiseWithResolvers<GitAnswer>>()
  let runner: ChildProcess | undefined
  let lastId = 0

  const start = (): ChildProcess => {
    const child = fork(RUNNER, { env: {}, execArgv: [], serialization: 'advanced', stdio: STDIO })
    child.on('message', (message: FromRunner) => {
      const request = pending.get(message.id)
      if ('answer' in message) request?.resolve(message.answer)
      else request?.reject(new Error(message.error))
    })
    const handleExit = () => {
      if (runner !== child) return
      runner = undefined
      for (const request of pending.values())
        request.reject(new Error('the git runner exited before the command ended'))
    }
    child.on('exit', handleExit).on('error', handleExit)
    // The runner exits when its channel closes, so it need not keep this process alive.
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
      const request = Promise.withResolvers<GitAnswer>()
      const send = (message: ToRunner) => runner?.send(message)
      const abort = () => void send({ id, abort: true })
      pending.set(id, request)
      signal?.addEventListener('abort', abort)
      // Node must not exit while a command runs.
      runner.channel?.ref()
      try {
        send({ id, command })
        return await request.promise
      } finally {
        pending.delete(id)
        signal?.removeEventListener('abort', abort)
        if (pending.size === 0) runner?.channel?.unref()
      }
    },

    [Symbol.dispose]() {
      runner?.kill()
      runner = undefined
    }
  }
}

const STDIO: StdioOptions = ['ignore', 'ignore', 'inherit', 'ipc']
