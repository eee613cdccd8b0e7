import { lstatSync, realpathSync } from 'node:fs'
import { dirname, isAbsolute, join, relative, resolve } from 'node:path'

/** Arguments of Kilo's tools that are paths. */
const PATHS = ['filePath', 'path', 'workdir']
/** The lines of a patch that name a file. */
const PATCHED = /^\*\*\* (?:(?:Add|Update|Delete) File|Move to): (.+)$/gm

const NOWHERE = '/a link to nothing'

/**
 * A plugin of Kilo's for agents without a room: no tool follows a symbolic link out of the worktree. Kilo 7.7.7 compares
 * paths as text, so its rule for other folders does not see where a link leads. Commands are not covered: they need a
 * permission.
 */
export const OwnWorktree = async ({ directory }) => ({
  'tool.execute.before': async (_call, { args }) => {
    for (const path of pathsIn(args ?? {})) {
      if (!leaves(directory, path)) continue
      throw new Error(
        `${path} leads out of the project through a symbolic link. This is not allowed.`
      )
    }
  }
})

function pathsIn(args) {
  const named = PATHS.map((name) => args[name])
  const patched = [...String(args.patchText ?? '').matchAll(PATCHED)].map(([, path]) => path.trim())
  // The folder in front of the first wildcard: it is searched, too.
  const pattern = /^[^*?[{]*\//.exec(String(args.pattern ?? ''))?.[0]
  return [...named, ...patched, pattern].filter((path) => typeof path === 'string')
}

/** Whether a path that is written below the folder is elsewhere. Kilo's own rules decide about all other paths. */
function leaves(folder, path) {
  const written = resolve(folder, path)
  if (!isIn(folder, written)) return false
  // Whether Kilo removes “..” before it opens the path, or the kernel goes there: that differs behind a link.
  const given = isAbsolute(path) ? path : `${folder}/${path}`
  return [written, given].some((each) => !isIn(realpathSync(folder), follow(each)))
}

/** Where the kernel goes, also for what is not there yet. A link to nothing would be written through: it leads nowhere. */
function follow(path) {
  let at = '/'
  for (const part of path.split('/')) {
    if (part === '..') at = dirname(at)
    else if (part !== '' && part !== '.') at = step(join(at, part))
  }
  return at
}

function step(path) {
  try {
    return realpathSync(path)
  } catch {
    return lstatSync(path, { throwIfNoEntry: false }) ? NOWHERE : path
  }
}

const isIn = (folder, path) => !/^\.\.(\/|$)/.test(relative(folder, path))
