import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { AppError } from '#kernel/errors.ts'
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

/**
 * Messages of git's object check about repositories that other tools have written: nothing in them can do harm. All
 * others (names that lead out of a tree, `.gitmodules` with commands, …) refuse the clone.
 */
const HARMLESS = [
  'badDate',
  'badDateOverflow',
  'badEmail',
  'badName',
  'badTagName',
  'badTimezone',
  'emptyName',
  'missingEmail',
  'missingNameBeforeEmail',
  'missingSpaceBeforeDate',
  'missingSpaceBeforeEmail',
  'missingTaggerEntry',
  'multipleAuthors',
  'nulInCommit',
  'zeroPaddedDate',
  'zeroPaddedFilemode'
]

/**
 * Fetches the newest commit of a remote branch as main, without the repository's settings and submodules. Nothing is
 * checked out yet, and a commit whose checkout would be too large is refused. An empty repository leaves main without a
 * commit.
 */
export async function cloneToMain(context: WorkspaceContext, source: GitSource, rules: CloneRules) {
  const { branch } = source
  if (branch !== undefined) await checkBranch(context, branch)
  const { url, pin } = await checkCloneUrl(source.url, rules.isAllowedAddress)
  const config = [
    `http.curloptResolve=${pin}`,
    ...(rules.authorities ? [`http.sslCAInfo=${rules.authorities}`] : [])
  ]

  try {
    await fetchMain(context, { url, branch, config })
  } catch (error) {
    if (error instanceof AppError) throw error
    const reason = String(error)
    if (branch === undefined && /couldn't find remote ref HEAD/.test(reason)) {
      if (await isEmpty(context, url, config)) return
      throw refused('The default branch of the repository has no commit: name a branch', error)
    }
    if (/couldn't find remote ref/.test(reason)) {
      throw refused(`The repository has no branch ${branch}`, error)
    }
    await fetchForgiving(context, { url, branch, config }, error)
  }
  await checkCheckoutSize(context, MAIN, rules.limits ?? CLONE_LIMITS)
}

/** By git's own rules, and by no others. */
export async function checkBranch(context: WorkspaceContext, branch: string): Promise<void> {
  const known = { codes: [0, 1, 128, 129] }
  const { code, out } = branch.includes('\0')
    ? { code: 1, out: '' }
    : await context.git(['check-ref-format', '--branch', branch], known)
  // Names such as @{-1} stand for another branch.
  if (code !== 0 || out !== `${branch}\n`) throw refused('The branch name is invalid')
}

interface Fetch {
  readonly url: string
  readonly branch: string | undefined
  readonly config: readonly string[]
}

async function fetchMain(context: WorkspaceContext, { url, branch, config }: Fetch): Promise<void> {
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
        config,
        env: { GIT_OPTIONAL_LOCKS: '0' },
        timeoutMs: CLONE_MS_MAX,
        signal: tooBig.signal
      }
    )
  } catch (error) {
    if (!tooBig.signal.aborted) throw error
    throw refused('The repository is too large: the limit is 512 MiB', error)
  } finally {
    clearInterval(watch)
  }
}

const FAULT = /object ([0-9a-f]{40,64}): (\w+): ([^\n]*)/

/** Fetches again without the harmless messages, if the failure was one of git's object check. */
async function fetchForgiving(context: WorkspaceContext, fetch: Fetch, error: unknown) {
  const [, object, fault] = FAULT.exec(String(error)) ?? []
  if (object === undefined) throw refused('The repository cannot be fetched', error)

  context.log.info(
    { object, fault },
    'clone has an object with a fault, trying without harmless ones'
  )
  const config = [...fetch.config, ...HARMLESS.map((name) => `fetch.fsck.${name}=ignore`)]
  try {
    await fetchMain(context, { ...fetch, config })
  } catch (second) {
    if (second instanceof AppError) throw second
    const [, object, fault, why] = FAULT.exec(String(second)) ?? []
    if (object === undefined) throw refused('The repository cannot be fetched', second)
    const detail = `The repository has an object that git refuses: ${object} (${fault}: ${why})`
    throw refused(detail, second, { object, fault })
  }
}

async function isEmpty(
  context: WorkspaceContext,
  url: string,
  config: readonly string[]
): Promise<boolean> {
  const { out } = await context.git(['ls-remote', '--heads', '--', url], {
    config,
    timeoutMs: CLONE_MS_MAX
  })
  return out.trim() === ''
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
