import { AppError } from '#kernel/errors.ts'
import type { ProjectId, UserId } from '#kernel/ids.ts'
import { LIMITS } from '#kernel/limits.ts'
import { within } from '#kernel/waiting.ts'
import { ownProject } from '#projects'
import { agentViewOf, type AgentRestart, type AgentView } from '../agent-schemas.ts'
import type { ApiDeps, WorkerDeps } from '../job-deps.ts'
import { readActiveJob } from '../stores/job-read-store.ts'
import { cancel } from './cancel-job.ts'

/** The state of a project's agent, and what it uses. */
export async function readAgent(
  { db, commands }: Pick<ApiDeps, 'db' | 'commands'>,
  userId: UserId,
  id: string
): Promise<AgentView> {
  const project = await ownProject(db, userId, id)
  return commands.agent(project.id)
}

/**
 * Stops a project's agent and forgets its failures; the next job starts a new one. Refuses with 409 `agent_busy` while a
 * job runs, unless it is to be cancelled: such a job pays for what it has used, as every cancelled one.
 */
export async function restartAgent(
  deps: Omit<ApiDeps, 'modes'>,
  userId: UserId,
  id: string,
  { force = false }: AgentRestart
): Promise<AgentView> {
  const project = await ownProject(deps.db, userId, id)
  const job = await readActiveJob(deps.db, project.id)
  if (job && !force) {
    throw new AppError('agent_busy', 'A job is running: wait for its end, or set “force”', {
      jobId: job.id
    })
  }
  // First the agent leaves its place, so that no queued job gets it, and then the job that has it is cancelled.
  const restarted = deps.commands.restartAgent(project.id)
  restarted.catch(() => {})
  const active = force ? await readActiveJob(deps.db, project.id) : undefined
  if (active) await cancel(deps, active)
  return restarted
}

type AgentDeps = Pick<WorkerDeps, 'supervisor' | 'log'>

export const viewAgent = async (
  { supervisor }: Pick<AgentDeps, 'supervisor'>,
  projectId: ProjectId
): Promise<AgentView> => agentViewOf(await supervisor.status(projectId), supervisor)

/** Answers when the agent has stopped, or after a while, when it is still draining. */
export async function carryOutRestart(
  { supervisor, log }: AgentDeps,
  projectId: ProjectId
): Promise<AgentView> {
  log.info({ projectId }, 'restart of an agent requested')
  const restarted = supervisor.restart(projectId).catch((err: unknown) => {
    log.error({ err, projectId }, 'failed to stop an agent')
  })
  await within(restarted, LIMITS.agentRestartWaitMs)
  return viewAgent({ supervisor }, projectId)
}
