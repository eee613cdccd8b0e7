import type { Duplex } from 'node:stream'
import { formatAllowEntry, parseAllowEntry, type AllowEntry } from '#net'
import type { Clock } from '#kernel/clock.ts'
import type { ProjectId } from '#kernel/ids.ts'
import type { Log } from '#kernel/log.ts'
import { readToolSettings, type ToolSettings } from '../process/tool-settings.ts'
import { readCertificates, type Certificates } from './certificates.ts'
import type { Resolve } from './destinations.ts'
import { EGRESS_LIMITS, type EgressLimits } from './egress-limits.ts'
import { createEgressProxy } from './egress-proxy.ts'
import type { EgressRefusal, RefusalReason } from './refusals.ts'

export interface EgressSettings {
  /** Undefined: the registry that npm is configured with on this machine, over HTTPS. */
  readonly allow: readonly AllowEntry[] | undefined
  readonly bytesPerDay: number
  /** Shorter ones for tests. */
  readonly limits?: Partial<EgressLimits>
  /** Undefined: the DNS of this machine. */
  readonly resolve?: Resolve
  /** Undefined: those of this machine. */
  readonly tools?: ToolSettings
}

/** The way out of rooms that have no network. */
export interface Egress extends Disposable {
  /** Takes a connection from the room of this project. */
  accept(projectId: ProjectId, connection: Duplex): void
  /** Reports the refusals of a project until the returned function is called. */
  listen(projectId: ProjectId, listener: (refusal: EgressRefusal) => void): () => void
  readonly certificates: Certificates
  /** The registry that npm uses in a room; undefined: npm's own. */
  readonly registry: string | undefined
}

export interface EgressDeps {
  readonly log: Log
  readonly clock: Clock
  readonly onRefused: (reason: RefusalReason) => void
}

export async function openEgress(settings: EgressSettings, deps: EgressDeps): Promise<Egress> {
  const { log, clock } = deps
  const tools = settings.tools ?? (await readToolSettings(log))
  const allow = settings.allow ?? registryOf(tools, log)
  const caFiles = { node: tools.nodeCaFile, npm: tools.npmCaFile }
  const certificates = await readCertificates(caFiles, log)
  log.info({ allow: allow.map(formatAllowEntry) }, 'egress proxy ready')
  const listeners = new Map<ProjectId, Set<(refusal: EgressRefusal) => void>>()
  const logRefusal = createRefusalLog(log, clock)

  const proxy = createEgressProxy({
    ...settings,
    allow,
    log,
    clock,
    onRefused(refusal) {
      deps.onRefused(refusal.reason)
      logRefusal(refusal)
      for (const listener of listeners.get(refusal.projectId) ?? []) listener(refusal)
    }
  })
  return {
    accept: proxy.accept,
    certificates,
    registry: tools.registry,
    listen(projectId, listener) {
      const listening = listeners.get(projectId) ?? new Set()
      listeners.set(projectId, listening.add(listener))
      return () => {
        listening.delete(listener)
        if (listening.size === 0) listeners.delete(projectId)
      }
    },
    [Symbol.dispose]: () => proxy[Symbol.dispose]()
  }
}

/**
 * The default of EGRESS_ALLOW. The registry may have a private address: it was named in npm's configuration, by the
 * operator of this machine, and no agent can write that.
 */
function registryOf({ registry }: ToolSettings, log: Log): AllowEntry[] {
  const url = registry === undefined ? undefined : new URL(registry)
  const parsed =
    url?.protocol === 'https:'
      ? parseAllowEntry(`${url.hostname}:${url.port || 443}!private`)
      : undefined
  if (parsed && 'entry' in parsed) return [parsed.entry]
  log.warn({ registry }, 'npm has no registry over HTTPS: agents have no network')
  return []
}

/** Logs each refusal, up to a number a minute and project: an agent can cause as many as it likes. */
function createRefusalLog(log: Log, clock: Pick<Clock, 'monotonicMs'>) {
  const MINUTE_MS = 60_000
  const logged = new Map<ProjectId, number>()
  let beganMs = clock.monotonicMs()

  return ({ projectId, host, port, reason }: EgressRefusal) => {
    if (clock.monotonicMs() - beganMs > MINUTE_MS) {
      beganMs = clock.monotonicMs()
      logged.clear()
    }
    const count = (logged.get(projectId) ?? 0) + 1
    logged.set(projectId, count)
    if (count > EGRESS_LIMITS.refusalsLoggedPerMinute) return
    log.warn({ projectId, host, port, reason }, 'egress refused')
  }
}
