import { readFileSync } from 'node:fs'

/**
 * When a process began, in the kernel's ticks; undefined when it is gone. With its pid, a name that is never used again:
 * pids are given again, births are not.
 */
export function birthOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field is the program's name in brackets, and may hold anything.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  } catch {
    return undefined
  }
}
