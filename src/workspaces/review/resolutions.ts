import { randomUUID } from 'node:crypto'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { AppError } from '#kernel/errors.ts'
import { LIMITS } from '#kernel/limits.ts'
import { tooLarge } from '../files/files.ts'
import { checkPath } from '../files/paths.ts'
import { writeObject } from '../git/objects.ts'
import type { WorkspaceContext } from '../history/context.ts'
import type { Conflict } from './conflicts.ts'

/** What a person wants a conflicting path to have: a content, or null for no file. */
export interface Resolution {
  readonly path: string
  readonly content: Buffer | null
}

/** A merge that git could not finish by itself. */
export interface Unfinished {
  readonly conflicts: readonly Conflict[]
  /** What git merged, with markers or one of the sides where there is a conflict. */
  readonly tree: string
  /** git's own names of the entries in conflict, also the invented ones. */
  readonly entries: readonly string[]
}

export type Resolved =
  | { readonly kind: 'resolved'; readonly tree: string }
  | { readonly kind: 'open'; readonly conflicts: readonly Conflict[] }

/**
 * Finishes a merge with a person's resolutions. What git could merge stays as git merged it; each conflicting path gets
 * what the person wants. Conflicts without a resolution stay open. Refuses resolutions of paths without a conflict: they
 * were written for another state of main.
 */
export async function resolveConflicts(
  context: WorkspaceContext,
  { conflicts, tree, entries }: Unfinished,
  resolutions: readonly Resolution[]
): Promise<Resolved> {
  const byPath = new Map(conflicts.map((conflict) => [conflict.path, conflict]))
  const unknown = resolutions.map(({ path }) => path).filter((path) => !byPath.has(path))
  if (unknown.length > 0) {
    const detail = 'These paths have no conflict any more: read the conflicts again'
    throw new AppError('invalid_request', detail, { field: 'resolutions', paths: unknown })
  }
  const given = new Set(resolutions.map(({ path }) => path))
  const open = conflicts.filter(({ path }) => !given.has(path))
  if (open.length > 0) return { kind: 'open', conflicts: open }

  const index = join(context.stagingDir, randomUUID())
  const env = { GIT_INDEX_FILE: index }
  try {
    await context.git(['read-tree', tree], { env })
    await context.git(['update-index', '--force-remove', '--', ...entries], { env })
    const additions = await Promise.all(
      resolutions.map((resolution) => additionOf(context, resolution, byPath.get(resolution.path)!))
    )
    await context.git(['update-index', '--add', '--replace', ...additions.flat()], { env })
    const { out } = await context.git(['write-tree'], { env })
    return { kind: 'resolved', tree: out.trim() }
  } finally {
    rmSync(index, { force: true })
  }
}

async function additionOf(
  { repo }: WorkspaceContext,
  { path, content }: Resolution,
  { ours, theirs }: Conflict
): Promise<string[]> {
  checkPath(path)
  if (content === null) return []
  if (content.length > LIMITS.fileBytesMax) throw tooLarge(path, content.length)
  const sha = await writeObject(repo, 'blob', content)
  return ['--cacheinfo', `${modeOf(ours?.mode, theirs?.mode)},${sha},${path}`]
}

/** A file stays executable if it is on either side; a link stays one only if both sides have one. */
function modeOf(...modes: readonly (string | undefined)[]): string {
  const known = modes.filter((mode) => mode !== undefined)
  if (known.length > 0 && known.every((mode) => mode === '120000')) return '120000'
  return known.includes('100755') ? '100755' : '100644'
}
