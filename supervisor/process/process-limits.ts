import { writeFileSync } from 'node:fs'
import { release, setPriority } from 'node:os'
import type { AgentLimits } from '#kernel/limits.ts'

/** Limits that the kernel applies to each process of a room. */
export interface ProcessLimits extends Pick<AgentLimits, 'processesMax' | 'openFilesMax' | 'nice'> {
  readonly fileBytesMax: number
}

/** The kernel's OOM killer takes a process with the highest score before any other: a room before the server. */
const OOM_SCORE = 1000
/** POSIX counts file sizes in these. */
const BLOCK_BYTES = 512

/**
 * Sets what it is given and becomes the program. A limit that is already lower than asked for stays. Shells disagree about
 * the letter for processes: dash has -p, bash has -u.
 */
const SCRIPT = `{
  echo ${OOM_SCORE} > /proc/self/oom_score_adj
  ulimit -c 0
  ulimit -n "$1"
  ulimit -f "$2"
  [ "$3" = - ] || ulimit -u "$3" || ulimit -p "$3"
} 2>/dev/null
nice=$4; shift 4
exec nice -n "$nice" "$@"`

/** The command line that starts a program with these limits, which all its children inherit. */
export function limited(limits: ProcessLimits, program: readonly string[]): string[] {
  const processes = countsPerNamespace(release()) ? String(limits.processesMax) : '-'
  const blocks = Math.ceil(limits.fileBytesMax / BLOCK_BYTES)
  const numbers = [limits.openFilesMax, blocks, processes, limits.nice].map(String)
  return ['/bin/sh', '-c', SCRIPT, 'sh', ...numbers, ...program]
}

/** What the server can set for a process that it has just started: its OOM score and its share of the CPU. */
export function limitFromOutside(pid: number, { nice }: Pick<ProcessLimits, 'nice'>): void {
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, String(OOM_SCORE))
    setPriority(pid, nice)
  } catch {
    // It has exited already.
  }
}

/** Until Linux 5.14 a limit of processes counted all of the user on this machine, the server and other rooms among them. */
export function countsPerNamespace(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map((part) => Number.parseInt(part, 10))
  return major > 5 || (major === 5 && minor >= 14)
}
