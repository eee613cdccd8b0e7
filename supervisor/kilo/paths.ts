/** Makes a path of an agent relative to the worktree; a path outside the worktree is unchanged. */
export type RelativePath = (path: string) => string

/** `roots`: the path of the worktree on this machine, and inside the sandbox. */
export function createRelativePath(roots: readonly string[]): RelativePath {
  return (path) => {
    for (const root of roots) {
      if (path === root) return '.'
      if (path.startsWith(`${root}/`)) return path.slice(root.length + 1)
    }
    return path
  }
}

const PATH_FIELDS: ReadonlySet<string> = new Set([
  'filePath',
  'filepath',
  'path',
  'workdir',
  'directory'
])

/** A tool's input with its paths made relative; everything else is unchanged. */
export function relativeInput(input: unknown, relative: RelativePath): unknown {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) return input
  return Object.fromEntries(
    Object.entries(input).map(([key, value]) => [
      key,
      typeof value === 'string' && PATH_FIELDS.has(key) ? relative(value) : value
    ])
  )
}
