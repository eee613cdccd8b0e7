import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { checkCloneUrl, refused } from './clone-url.ts'
import { checkCheckoutSize, CLONE_LIMITS, type CloneLimits } from './clone-size.ts'
import type { WorkspaceContext } from '../history/context.ts'
import { MAIN } from '../git/refs.ts'

/** Lets an operator allow a forge in a private network, besides the public ones. */
export interface CloneRules {
  readonly isAllowedAddress?: (address: string) => boolean
  /** A PEM file with the authority that signed the forge's certificate. */
  readonly authorities?: string
  /** Limits of the checkout; smaller in tests. */
  readonly limits?: CloneLimits
}

export interface GitSource {
  readonly url: string
  readonly branch?: string | undefined
}

const CLONE_MS_MAX = 120_000
const CLONE_BYTES_MAX = 512 * 1024 * 1024
const BRANCH = /^(?!-)(?!.*(\.\.|\/\/|@\{|\.lock(\/|$)))[\w./@+-]{1,200}(?<![./])$/

/**
 * Fetches the newest commit of a remote branch as main, without the repository's settings and submodules. Nothing is
 * checked out yet, and a commit whose checkout would be too large is refused.
 */
export async function cloneToMain(context: WorkspaceContext, source: GitSource, rules: CloneRules) {
  const { branch } = source
  if (branch !== undefined && !BRANCH.test(branch)) throw refused('The branch name is invalid')
  const { url, pin } = await checkCloneUrl(source.url, rules.isAllowedAddress)

  const tooBig = new AbortController()
  const watch = setInterval(() => {
    if (bytesIn(join(context.repo, 'objects', 'pack')) > CLONE_BYTES_MAX) tooBig.abort()
  }, 500)
  try {
    await context.git(
      [
        'fetch',
        '--depth=1',
        '--no-tags',
        '--no-recurse-submodules',
        '--no-write-fetch-head',
        '--no-auto-maintenance',
        '--',
        url,
        `+${branch === undefined ? 'HEAD' : `refs/heads/${branch}`}:${MAIN}`
      ],
      {
        config: [
          `http.curloptResolve=${pin}`,
          ...(rules.authorities ? [`http.sslCAInfo=${rules.authorities}`] : [])
        ],
        env: { GIT_OPTIONAL_LOCKS: '0' },
        timeoutMs: CLONE_MS_MAX,
        signal: tooBig.signal
      }
    )
  } catch (error) {
    throw refused(
      tooBig.signal.aborted
        ? 'The repository is too large: the limit is 512 MiB'
        : 'The repository cannot be fetched',
      error
    )
  } finally {
    clearInterval(watch)
  }
  await checkCheckoutSize(context, MAIN, rules.limits ?? CLONE_LIMITS)
}

/** Removes submodule links from the index: their files are in other repositories, which are not fetched. */
export async function dropSubmodules(context: WorkspaceContext): Promise<string[]> {
  const { out } = await context.git(['ls-files', '-z', '--stage'])
  const links = out
    .split('\0')
    .filter((line) => line.startsWith('160000 '))
    .map((line) => line.slice(line.indexOf('\t') + 1))
  if (links.length > 0) await context.git(['update-index', '--force-remove', '--', ...links])
  return links
}

function bytesIn(folder: string): number {
  try {
    return readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0)
  } catch {
    return 0
  }
}
