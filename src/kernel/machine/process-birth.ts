import { readFileSync } from 'node:fs'

/**
 * The start time of a process in the kernel's ticks; undefined when the process is gone. A pid is reused; a pid
 * together with its start time is not.
 */
export function birthOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field is the program's name in brackets, and can contain any character.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  } catch {
    return undefined
  }
}
