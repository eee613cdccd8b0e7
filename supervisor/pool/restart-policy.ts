import type { RunningKilo } from '../agent/agent.ts'

/** The state of the process in a project's slot; `none`: the project has no slot. */
export type PresentAgent = RunningKilo['state'] | 'none'

/** Whether a project uses its present agent, or a new process is started for it. */
export function decideRestart(present: PresentAgent): 'use' | 'start' {
  switch (present) {
    case 'starting':
    case 'ready':
      return 'use'
    case 'draining':
    case 'exited':
    case 'none':
      return 'start'
  }
}
