import type { PermissionBody } from '../stores/prompt-store.ts'

/**
 * Whether a person has granted this for the rest of the conversation: the same kind of permission, and only patterns that
 * were granted word for word. The agent itself only ever receives `once`: its own `always` would be written into its
 * configuration for good.
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
