import { join } from 'node:path'
import type { PriceList } from '#billing'
import type { Config } from '#config'
import { createEditing, createQuota, type Editing } from '#editing'
import { openGateway, type Gateway, type GatewayOptions } from '#gateway'
import { createProjectCommands, createWorker, type ProjectCommands, type Worker } from '#jobs'
import type { ProjectId } from '#kernel/ids.ts'
import { LIMITS } from '#kernel/limits.ts'
import { createRemovals } from '#kernel/machine/removals.ts'
import {
  openSupervisor,
  type ProviderAccess,
  type Supervisor,
  type SupervisorOptions
} from '#supervisor'
import { createWorkspaces } from '#workspaces'
import type { Services } from './services.ts'

/** Shorter times for tests. */
export interface WorkerTuning {
  readonly agents?: Pick<SupervisorOptions, 'times' | 'modelTimeouts' | 'modelRetriesMax'>
  readonly gateway?: Pick<GatewayOptions, 'times'>
}

/** What has the worktrees and the agents. */
export interface WorkerSide extends AsyncDisposable {
  readonly supervisor: Supervisor
  readonly editing: Editing
  readonly commands: ProjectCommands
  /** Disposed of before the rest: it ends the jobs that use the rest. */
  readonly worker: Worker
}

/** Opens model gateway, supervisor, workspaces and worker. The worker does not serve the queue yet. */
export async function openWorkerSide(
  config: Config,
  services: Services,
  tuning: WorkerTuning
): Promise<WorkerSide> {
  await using opening = new AsyncDisposableStack()
  const { clock, log, prices, metrics } = services
  const { providers } = config
  const agentsDir = join(config.dataDir, 'agents')
  const gateway = opening.use(
    await openGateway({
      providers,
      prices,
      clock,
      log,
      onMetric: metrics.gateway,
      ...tuning.gateway
    })
  )
  const supervisor = opening.use(
    await openSupervisor({
      kiloBin: config.kiloBin,
      agentsDir,
      isolation: config.isolation,
      trustRepositories: config.trustRepositories,
      agentsMax: config.agentsMax,
      agentsMemoryBytes: config.agentsMemoryBytes,
      limits: config.agentLimits,
      idleStopMs: config.idleStopSeconds * 1000,
      providersFor: (projectId) => providersOf(config, prices, gateway, projectId),
      modelService: { accept: gateway.accept },
      egress: { allow: config.egressAllow, bytesPerDay: config.egressBytesPerDay },
      onAgentExited: (access) => access.forEach(({ apiKey }) => gateway.revoke(apiKey ?? '')),
      defaultModel: config.model,
      onMetric: metrics.supervisor,
      log,
      clock,
      ...tuning.agents
    })
  )
  const { bubblewrap, modes } = supervisor
  const jail = bubblewrap === undefined ? undefined : { bubblewrap }
  const workspaces = opening.use(
    createWorkspaces({ projectsDir: config.projectsDir, clock, log, jail })
  )
  const deps = { ...services, metrics: metrics.jobs, modes, workspaces, gateway, supervisor }
  const commands = createProjectCommands(deps)
  const worker = opening.use(createWorker({ ...deps, commands }))
  metrics.watchAgents(supervisor)
  const quota = createQuota({
    measure: (id) => supervisor.diskUsage(id, workspaces.open(id).worktree),
    limits: config.agentLimits,
    clock,
    log
  })
  const editing = createEditing({ ...services, workspaces, quota })
  await editing.recover()
  const removals = opening.use(createRemovals([config.projectsDir, agentsDir], { clock, log }))
  metrics.watchRemovals(removals)
  removals.start()

  const opened = opening.move()
  return {
    supervisor,
    editing,
    commands,
    worker,
    [Symbol.asyncDispose]: () => opened.disposeAsync()
  }
}

/** Each provider as an agent sees it: the gateway's address, a token of its own, and the models that have a price. */
function providersOf(
  config: Config,
  prices: PriceList,
  gateway: Gateway,
  projectId: ProjectId
): ProviderAccess[] {
  const token = gateway.tokenFor(projectId)
  return config.providers.map(({ id, baseUrl }) => ({
    id,
    baseUrl: gateway.addressOf(id),
    apiKey: token,
    upstreamUrl: baseUrl,
    models: prices
      .models()
      .filter((model) => model.startsWith(`${id}/`))
      .map((model) => ({
        id: model.slice(id.length + 1),
        contextTokens: prices.find(model)?.contextTokens ?? 128_000,
        outputTokens: prices.find(model)?.outputTokens ?? LIMITS.answerTokensDefault
      }))
  }))
}
