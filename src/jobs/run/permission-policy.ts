import type { PermissionBody } from '../stores/prompt-store.ts'

/**
 * Whether a person has granted this for the rest of the conversation: the same kind of act, and nothing in it
 * that was not granted word for word. The agent itself is only ever told `once`: its own `always` would be
 * written into its configuration for good.
 */
export function isGranted(
  standing: readonly PermissionBody[],
  asked: Pick<PermissionBody, 'kind' | 'patterns'>
): boolean {
  const granted = new Set(
    standing.filter(({ kind }) => kind === asked.kind).flatMap(({ patterns }) => patterns)
  )
  return asked.patterns.length > 0 && asked.patterns.every((pattern) => granted.has(pattern))
}
