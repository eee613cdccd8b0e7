import type { ProjectCommands, WorkerDeps } from './job-deps.ts'
import { carryOutReview, tryReview } from './manage/carry-out-review.ts'
import { carryOutRestart, viewAgent } from './manage/project-agent.ts'
import { carryOutRepair } from './manage/repair-project.ts'
import { clearProject } from './manage/remove-project.ts'

/** Runs a project's commands in this process, which has its worktree and its agent. */
export function createProjectCommands(deps: Omit<WorkerDeps, 'commands'>): ProjectCommands {
  return {
    carryOutReview: (...review) => carryOutReview(deps, ...review),
    tryReview: (projectId, work) => tryReview(deps, projectId, work),
    diff: (projectId, ...request) => deps.workspaces.open(projectId).diff(...request),
    rawDiff: (projectId, ...request) => deps.workspaces.open(projectId).rawDiff(...request),
    repair: (projectId) => carryOutRepair(deps, projectId),
    clearProject: (projectId) => clearProject(deps, projectId),
    agent: (projectId) => viewAgent(deps, projectId),
    restartAgent: (projectId) => carryOutRestart(deps, projectId)
  }
}
