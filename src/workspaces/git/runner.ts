import { createJails } from './jail-shell.ts'
import type { JailedCommand } from './jail.ts'
import { runGit, type GitAnswer, type GitCommand } from './run-git.ts'

/** Messages from the server to its runner. The server assigns the ids. */
export type ToRunner =
  | { readonly id: number; readonly command: GitCommand | JailedCommand }
  | { readonly id: number; readonly abort: true }

export type FromRunner =
  | { readonly id: number; readonly answer: GitAnswer }
  | { readonly id: number; readonly error: string }

const runJailed = createJails()
const run = (command: GitCommand | JailedCommand, signal: AbortSignal) =>
  'jail' in command ? runJailed(command, signal) : runGit(command, signal)

const running = new Map<number, AbortController>()

async function answer(id: number, command: GitCommand | JailedCommand): Promise<FromRunner> {
  const controller = new AbortController()
  running.set(id, controller)
  try {
    return { id, answer: await run(command, controller.signal) }
  } catch (error) {
    return { id, error: error instanceof Error ? error.message : String(error) }
  } finally {
    running.delete(id)
  }
}

process.on('message', (message: ToRunner) => {
  if ('abort' in message) return void running.get(message.id)?.abort()
  void answer(message.id, message.command).then((result) => process.send?.(result))
})
// The server has exited or closed the channel, so no process reads the answers.
process.on('disconnect', () => process.exit(0))
