import { existsSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { modelAddress } from '#kernel/text.ts'
import type { ModelTimeouts, ProviderAccess } from '../options.ts'

export interface KiloConfigFacts {
  readonly providers: readonly ProviderAccess[]
  readonly defaultModel: string
  readonly timeouts: ModelTimeouts
  /** The agent is in a sandbox. */
  readonly isolated: boolean
  readonly worktree: string
  /** The addresses of plugins; Kilo loads no others. */
  readonly plugins?: readonly string[]
}

/** Tools that would act after the turn, outside the project, or for a user interface that is not attached. */
const DENIED = [
  'schedule_wakeup',
  'cancel_wakeup',
  'background_process',
  'board_post',
  'board_read',
  'kilo_local_recall',
  'suggest',
  'webfetch',
  'websearch',
  'skill',
  'notify_user',
  'send_file',
  'plan_exit'
]

/** In a sandbox /tmp belongs to the agent and is deleted with it; commands need such a folder. */
const ISOLATED_ELSEWHERE = { '*': 'deny', '/tmp/*': 'allow' }

/** The value of `KILO_CONFIG_CONTENT`: our providers only, our permissions, no snapshots. */
export function kiloConfig(facts: KiloConfigFacts): object {
  return {
    $schema: 'https://app.kilo.ai/config.json',
    autoupdate: false,
    share: 'disabled',
    // Our git is the truth for diffs and undo, and a warm turn takes half the time without Kilo's snapshots.
    snapshot: false,
    enabled_providers: facts.providers.map(({ id }) => id),
    model: facts.defaultModel,
    small_model: facts.defaultModel,
    provider: Object.fromEntries(
      facts.providers.map((provider) => [provider.id, kiloProvider(provider, facts.timeouts)])
    ),
    ...(facts.plugins ? { plugin: facts.plugins } : {}),
    permission: permissionRules(facts),
    experimental: { openTelemetry: false }
  }
}

const permissionRules = ({ isolated, worktree }: KiloConfigFacts) => ({
  edit: isolated ? 'allow' : editRule(worktree),
  // Without a sandbox a command has all rights of this server's user, so it needs a permission.
  bash: isolated ? 'allow' : 'ask',
  external_directory: isolated ? ISOLATED_ELSEWHERE : 'deny',
  question: 'allow',
  task: 'allow',
  ...Object.fromEntries(DENIED.map((tool) => [tool, 'deny']))
})

const LIBRARIES: Record<ProviderAccess['id'], { npm: string; name: string }> = {
  anthropic: { npm: '@ai-sdk/anthropic', name: 'Anthropic' },
  'openai-compatible': { npm: '@ai-sdk/openai-compatible', name: 'OpenAI compatible' }
}

/** The abilities of every model of Anthropic's; of others only that an agent needs one with tools. */
const ABILITIES: Record<ProviderAccess['id'], object> = {
  anthropic: {
    tool_call: true,
    attachment: true,
    reasoning: true,
    modalities: { input: ['text', 'image', 'pdf'], output: ['text'] }
  },
  'openai-compatible': { tool_call: true }
}

function kiloProvider(provider: ProviderAccess, timeouts: ModelTimeouts): object {
  const baseURL = provider.baseUrl && modelAddress(provider.id, provider.baseUrl)
  return {
    ...LIBRARIES[provider.id],
    options: {
      ...(baseURL ? { baseURL } : {}),
      ...(provider.apiKey ? { apiKey: provider.apiKey } : {}),
      headerTimeout: timeouts.headerMs,
      ...(timeouts.chunkMs === undefined ? {} : { chunkTimeout: timeouts.chunkMs })
    },
    models: Object.fromEntries(
      provider.models.map((model) => [
        model.id,
        {
          name: model.id,
          ...ABILITIES[provider.id],
          limit: { context: model.contextTokens, output: model.outputTokens }
        }
      ])
    )
  }
}

/**
 * Kilo takes the nearest repository above its folder for the project, and lets the agent edit all of it. Where our
 * worktree lies inside another checkout, this rule confines edits to the worktree.
 */
export function editRule(worktree: string): 'allow' | Record<string, 'allow' | 'deny'> {
  let root = worktree
  while (!existsSync(join(root, '.git'))) {
    const above = dirname(root)
    if (above === root) return 'allow'
    root = above
  }
  if (root === worktree) return 'allow'
  return { '*': 'deny', [`${relative(root, worktree)}/*`]: 'allow' }
}

/** The primary agents of Kilo 7.7.7: offered until a running Kilo has listed its own. */
export const KNOWN_MODES: readonly string[] = ['code', 'plan', 'ask', 'debug', 'orchestrator']

interface KiloAgent {
  readonly name: string
  readonly mode: string
  readonly hidden?: boolean | undefined
}

/** The agents that a user can choose: the known ones in our order, then the others of this Kilo. */
export function modesOf(agents: readonly KiloAgent[]): readonly string[] {
  const offered = agents
    .filter((agent) => agent.mode !== 'subagent' && !agent.hidden)
    .map((agent) => agent.name)
  const known = KNOWN_MODES.filter((mode) => offered.includes(mode))
  return [...known, ...offered.filter((mode) => !known.includes(mode))]
}
