/** The processes that the server has started in this room. */
import { spawn } from 'node:child_process'

const OUTPUTS = ['stdout', 'stderr']

export function createProcesses({ dial, onExit }) {
  const running = new Map()

  return {
    /** Resolves with the pid when the process runs. Each of its streams is a connection of its own to the server. */
    spawn({ id, argv, env, cwd, stdin, endsWithOutput }) {
      const [program, ...args] = argv
      const child = spawn(program, args, {
        cwd,
        env,
        // A group of its own, which can be signalled whole.
        detached: true,
        stdio: [stdin ? 'pipe' : 'ignore', 'pipe', 'pipe']
      })
      return new Promise((resolve, reject) => {
        child.once('error', reject)
        child.once('spawn', () => {
          running.set(id, child)
          child.once('exit', (code, signal) => {
            running.delete(id)
            onExit(id, { code, signal })
          })
          attach(child, id, { dial, endsWithOutput })
          resolve({ pid: child.pid })
        })
      })
    },

    /** A process that has ended is not signalled: its pid may belong to another one by now. */
    signal({ id, signal, group }) {
      const child = running.get(id)
      if (child === undefined) return
      try {
        process.kill(group ? -child.pid : child.pid, signal)
      } catch (error) {
        if (error.code !== 'ESRCH') throw error
      }
    }
  }
}

function attach(child, id, { dial, endsWithOutput }) {
  for (const name of OUTPUTS) {
    const output = child[name]
    const outside = dial({ for: 'stream', stream: `${id} ${name}` })
    output.pipe(outside)
    output.on('error', () => outside.destroy())
    outside.on('error', () => {})
    outside.on('close', () => {
      // The server does not read any more: the process gets an error at its next write, as from a closed pipe.
      output.destroy()
      if (name === 'stdout' && endsWithOutput && child.exitCode === null && !child.signalCode) {
        process.kill(-child.pid, 'SIGKILL')
      }
    })
    // A connection that only ever writes would not notice the end of its other side.
    outside.resume()
  }
  if (!child.stdin) return
  const outside = dial({ for: 'stream', stream: `${id} stdin` })
  outside.on('error', () => child.stdin.end())
  child.stdin.on('error', () => outside.destroy())
  child.stdin.on('close', () => outside.destroy())
  outside.pipe(child.stdin)
}
