import { runGit, type GitAnswer, type GitCommand } from './run-git.ts'

/** What the server asks its runner, by numbers that it gives out. */
export type ToRunner =
  | { readonly id: number; readonly command: GitCommand }
  | { readonly id: number; readonly abort: true }

export type FromRunner =
  | { readonly id: number; readonly answer: GitAnswer }
  | { readonly id: number; readonly error: string }

const running = new Map<number, AbortController>()

async function answer(id: number, command: GitCommand): Promise<FromRunner> {
  const stopper = new AbortController()
  running.set(id, stopper)
  try {
    return { id, answer: await runGit(command, stopper.signal) }
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
// Whoever asked is gone: what it asked for is of no use to anybody.
process.on('disconnect', () => process.exit(0))
