import { AGENT_LIMITS, type AgentLimits } from '#kernel/limits.ts'
import { ConfigError } from './config-error.ts'
import { type Environment, wholeNumber } from './readers.ts'

const BYTES_MAX = 1e15
/** Kilo alone takes 0.45 GB when it has started. */
const MEMORY_MIN = 600_000_000

export function readAgentLimits(env: Environment): AgentLimits {
  const memory = { from: MEMORY_MIN, to: BYTES_MAX }
  const max = { ...memory, standard: AGENT_LIMITS.memoryMaxBytes }
  const memoryMaxBytes = wholeNumber(env, 'AGENT_MEMORY_BYTES_MAX', max)
  const standard = Math.min(AGENT_LIMITS.memorySoftBytes, memoryMaxBytes)
  const memorySoftBytes = wholeNumber(env, 'AGENT_MEMORY_BYTES_SOFT', { ...memory, standard })
  if (memorySoftBytes > memoryMaxBytes) {
    throw new ConfigError(
      'AGENT_MEMORY_BYTES_SOFT',
      `is ${memorySoftBytes}: expected no more than AGENT_MEMORY_BYTES_MAX, which is ${memoryMaxBytes}.`
    )
  }
  return Object.freeze({
    memorySoftBytes,
    memoryMaxBytes,
    processesMax: wholeNumber(env, 'AGENT_PROCESSES_MAX', {
      from: 100,
      to: 1_000_000,
      standard: AGENT_LIMITS.processesMax
    }),
    openFilesMax: wholeNumber(env, 'AGENT_OPEN_FILES_MAX', {
      from: 1024,
      to: 1_000_000,
      standard: AGENT_LIMITS.openFilesMax
    }),
    nice: wholeNumber(env, 'AGENT_NICE', { from: 0, to: 19, standard: AGENT_LIMITS.nice }),
    quotaBytes: wholeNumber(env, 'QUOTA_PROJECT_BYTES', {
      from: 20_000_000,
      to: BYTES_MAX,
      standard: AGENT_LIMITS.quotaBytes
    }),
    quotaFiles: wholeNumber(env, 'QUOTA_PROJECT_FILES', {
      from: 1000,
      to: 5_000_000,
      standard: AGENT_LIMITS.quotaFiles
    })
  })
}
