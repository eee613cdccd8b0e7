import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { statSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { decodeName, encodeName } from '../files/names.ts'
import { layOutJail, type JailedCommand } from './jail.ts'
import type { GitAnswer, GitCommand } from './run-git.ts'

/** Runs one command. Rejects after the command's timeout, when `signal` aborts, and when the jail cannot be started. */
export type RunJailed = (command: JailedCommand, signal: AbortSignal) => Promise<GitAnswer>

/** A jail serves the commands of one operation, and of the next if that comes soon. */
const IDLE_MS = 5000

/**
 * Runs jailed git commands. Starting a jail costs as much as several git commands, so a jail stays for some seconds: in
 * it a shell reads commands from its standard input. After each command it prints a random marker on both outputs, and
 * the exit code, so that the end of the output is recognised whatever the output contains.
 *
 * The commands of one worktree run one at a time. A command that is aborted or times out ends its jail with everything
 * in it, and the next command starts another jail.
 */
export function createJails(idleMs = IDLE_MS): RunJailed {
  const jails = new Map<string, Jail>()

  return async (command, signal) => {
    const key = idOf(command.folders.worktree)
    let jail = jails.get(key)
    if (!jail) {
      jail = openJail(command, idleMs, () => {
        if (jails.get(key) === jail) jails.delete(key)
      })
      jails.set(key, jail)
    }
    return jail.run(command, signal)
  }
}

/** The folder itself, not its path: a project that is created again after a failure has other folders. */
function idOf(worktree: string): string {
  const { dev, ino } = statSync(worktree)
  return `${worktree} ${dev}:${ino}`
}

interface Jail {
  run(command: GitCommand, signal: AbortSignal): Promise<GitAnswer>
}

function openJail({ jail: plan, folders }: JailedCommand, idleMs: number, onClosed: () => void) {
  const layout = layOutJail(plan, folders)
  const shell = spawn(plan.bubblewrap, layout.args, { cwd: folders.stagingDir, env: {} })
  const close = () => {
    onClosed()
    shell.kill('SIGKILL')
  }
  shell.on('error', close).on('exit', close)
  shell.stdin.on('error', close)

  let queue: Promise<unknown> = Promise.resolve()
  let waiting = 0
  let idle: NodeJS.Timeout | undefined

  return {
    run(command: GitCommand, signal: AbortSignal): Promise<GitAnswer> {
      waiting += 1
      const answer = queue.then(async () => {
        try {
          const { out, code, err } = await runLine(shell, layout.lineOf(command), {
            ...command,
            signal
          })
          return { out, code, err: layout.toHost(err), cut: false }
        } catch (error) {
          close()
          throw error
        } finally {
          waiting -= 1
          if (waiting === 0) idle = setTimeout(close, idleMs).unref()
        }
      })
      queue = answer.catch(() => {})
      clearTimeout(idle)
      return answer
    }
  }
}

interface LineOptions {
  readonly timeoutMs: number
  readonly signal: AbortSignal
  readonly hasNames?: boolean
}

async function runLine(
  shell: ChildProcessWithoutNullStreams,
  line: string,
  { timeoutMs, signal, hasNames = false }: LineOptions
): Promise<Omit<GitAnswer, 'cut'>> {
  const marker = randomBytes(16).toString('hex')
  const timeout = AbortSignal.timeout(timeoutMs)
  const ended = endOf(shell, AbortSignal.any([timeout, signal]))
  const out = readTo(marker, shell.stdout, hasNames)
  const err = readTo(marker, shell.stderr)
  shell.stdin.write(encodeName(`${line}; echo ${marker} $?; echo ${marker} >&2\n`))
  try {
    const [output, errors] = await Promise.race([Promise.all([out.read, err.read]), ended.rejected])
    return { out: output.text, code: Number(output.rest), err: errors.text }
  } catch (error) {
    if (timeout.aborted)
      throw new Error(`git timed out after ${timeoutMs / 1000} s`, { cause: error })
    const reason = err.soFar().trim()
    throw reason === '' ? error : new Error(`git's sandbox: ${reason}`, { cause: error })
  } finally {
    for (const reading of [out, err, ended]) reading.stop()
  }
}

/** Rejects when the shell exits or the signal aborts. */
function endOf(shell: ChildProcessWithoutNullStreams, signal: AbortSignal) {
  const { promise: rejected, reject } = Promise.withResolvers<never>()
  rejected.catch(() => {})
  const exit = () => reject(new Error("git's sandbox ended before the command"))
  const abort = () => reject(signal.reason as Error)
  if (shell.exitCode !== null || shell.signalCode !== null) exit()
  if (signal.aborted) abort()
  shell.once('exit', exit).once('error', reject)
  signal.addEventListener('abort', abort)
  return {
    rejected,
    stop() {
      shell.off('exit', exit).off('error', reject)
      signal.removeEventListener('abort', abort)
    }
  }
}

/** Reads a stream up to a line that begins with the marker; `rest` is what that line has besides. */
function readTo(marker: string, stream: Readable, hasNames = false) {
  const { promise: read, resolve } = Promise.withResolvers<{ text: string; rest: string }>()
  const chunks: Buffer[] = []
  const decode = (bytes: Buffer) => (hasNames ? decodeName(bytes) : bytes.toString())
  const soFar = () => decode(Buffer.concat(chunks))
  let end = ''
  const receive = (chunk: Buffer) => {
    chunks.push(chunk)
    end = (end + chunk.toString('latin1', Math.max(0, chunk.length - LAST_LINE_MAX))).slice(
      -LAST_LINE_MAX
    )
    if (!end.endsWith('\n') || !end.includes(marker)) return
    const text = soFar()
    const at = text.lastIndexOf(marker)
    resolve({ text: text.slice(0, at), rest: text.slice(at + marker.length) })
  }
  stream.on('data', receive)
  return { read, soFar, stop: () => void stream.off('data', receive) }
}

/** The marker, a space, an exit code and the line break. */
const LAST_LINE_MAX = 40
