import type { ProjectId, UserId } from '#kernel/ids.ts'
import { ownProject } from '#projects'
import type { ApiDeps, WorkerDeps } from '../job-deps.ts'
import type { RepairResult } from '../job-schemas.ts'

/** Checks the workspace of a project and repairs it. Refuses only what is not the user's own. */
export async function repairProject(
  { db, commands }: Pick<ApiDeps, 'db' | 'commands'>,
  userId: UserId,
  id: string
): Promise<RepairResult> {
  const project = await ownProject(db, userId, id)
  return commands.repair(project.id)
}

type RepairDeps = Pick<WorkerDeps, 'workspaces' | 'log'>

export async function carryOutRepair(
  { workspaces, log }: RepairDeps,
  projectId: ProjectId,
  { thorough = true } = {}
): Promise<RepairResult> {
  const checks = await workspaces.open(projectId).repair({ thorough })
  const found = checks.filter(({ result }) => result !== 'ok')
  if (found.length > 0) log.warn({ projectId, checks: found }, 'workspace checked')
  return { checks: checks.map((check) => ({ ...check })) }
}

/** Runs the cheap checks on every project of this machine, one at a time. */
export async function repairAll(deps: RepairDeps, stopping: AbortSignal): Promise<void> {
  for (const projectId of await deps.workspaces.list()) {
    if (stopping.aborted) return
    await carryOutRepair(deps, projectId, { thorough: false })
  }
}
