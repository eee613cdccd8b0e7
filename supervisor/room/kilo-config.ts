import { existsSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { modelAddress } from '#kernel/text.ts'
import type { ModelTimeouts, ProviderAccess } from '../options.ts'

export interface KiloConfigFacts {
  readonly providers: readonly ProviderAccess[]
  readonly defaultModel: string
  readonly timeouts: ModelTimeouts
  readonly jailed: boolean
  readonly worktree: string
}

/** Tools that would act after the turn, beyond the project, or to an audience that is not there. */
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

/** In its jail /tmp is the agent's own, and gone with it; commands need such a place. */
const JAILED_ELSEWHERE = { '*': 'deny', '/tmp/*': 'allow' }

/** What Kilo is told by `KILO_CONFIG_CONTENT`: our providers only, our permissions, no snapshots. */
export function kiloConfig(facts: KiloConfigFacts): object {
  return {
    $schema: 'https://app.kilo.ai/config.json',
    autoupdate: false,
    share: 'disabled',
    // Our git is the truth for diffs and undo, and a warm turn takes half the time without a second one.
    snapshot: false,
    enabled_providers: facts.providers.map(({ id }) => id),
    model: facts.defaultModel,
    small_model: facts.defaultModel,
    provider: Object.fromEntries(
      facts.providers.map((provider) => [provider.id, kiloProvider(provider, facts.timeouts)])
    ),
    permission: {
      edit: facts.jailed ? 'allow' : editRule(facts.worktree),
      // Without a jail a command could do anything here, so somebody is asked first.
      bash: facts.jailed ? 'allow' : 'ask',
      external_directory: facts.jailed ? JAILED_ELSEWHERE : 'deny',
      question: 'allow',
      task: 'allow',
      ...Object.fromEntries(DENIED.map((tool) => [tool, 'deny']))
    },
    experimental: { openTelemetry: false }
  }
}

const LIBRARIES: Record<ProviderAccess['id'], { npm: string; name: string }> = {
  anthropic: { npm: '@ai-sdk/anthropic', name: 'Anthropic' },
  'openai-compatible': { npm: '@ai-sdk/openai-compatible', name: 'OpenAI compatible' }
}

/** What every model of Anthropic's can; of others we only know that they are of no use without tools. */
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
 * Kilo takes the nearest repository above its folder for the project, and lets the agent edit all of that. Where our
 * worktree lies inside somebody's checkout, edits stay in the worktree by rule.
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

/** The primary agents of Kilo 7.7.7: what we offer until a running Kilo has listed its own. */
export const KNOWN_MODES: readonly string[] = ['code', 'plan', 'ask', 'debug', 'orchestrator']

interface KiloAgent {
  readonly name: string
  readonly mode: string
  readonly hidden?: boolean | undefined
}

/** The agents that a person can choose: ours in our order, then whatever else this Kilo has. */
export function modesOf(agents: readonly KiloAgent[]): readonly string[] {
  const offered = agents
    .filter((agent) => agent.mode !== 'subagent' && !agent.hidden)
    .map((agent) => agent.name)
  const known = KNOWN_MODES.filter((mode) => offered.includes(mode))
  return [...known, ...offered.filter((mode) => !known.includes(mode))]
}
