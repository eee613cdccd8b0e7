import { remember, type Place } from './place.ts'
import { NO_COMMIT } from './refs.ts'

export interface Author {
  readonly name: string
  readonly email: string
}

/** Who writes every commit down, and who is the author where nobody else is. */
export const KILOWATT: Author = { name: 'Kilowatt', email: 'kilowatt@kilowatt.invalid' }
/** The author of an AI job's work. */
export const KILO: Author = { name: 'Kilo', email: 'kilo@kilowatt.invalid' }

export interface CommitDraft {
  readonly tree: string
  readonly parents: readonly string[]
  readonly author: Author
  readonly message: string
}

const MESSAGE_CHARS_MAX = 16_000

/** Writes a commit that no branch names yet. */
export async function writeCommit(place: Place, draft: CommitDraft): Promise<string> {
  const date = `${Math.floor(place.clock.now().getTime() / 1000)} +0000`
  const parents = draft.parents.flatMap((parent) => ['-p', parent])
  const { out } = await place.git(
    ['commit-tree', ...parents, `-m${tidy(draft.message)}`, draft.tree],
    {
      env: {
        GIT_AUTHOR_NAME: oneLine(draft.author.name) || 'Somebody',
        GIT_AUTHOR_EMAIL: oneLine(draft.author.email),
        GIT_AUTHOR_DATE: date,
        GIT_COMMITTER_NAME: KILOWATT.name,
        GIT_COMMITTER_EMAIL: KILOWATT.email,
        GIT_COMMITTER_DATE: date
      }
    }
  )
  const commit = out.trim()
  remember(place.memory.trees, commit, draft.tree)
  const [parent] = draft.parents
  if (parent !== undefined) remember(place.memory.parents, commit, parent)
  return commit
}

export interface CommitOptions {
  readonly subject: string
  readonly trailers: Readonly<Record<string, string>>
  readonly author: Author
}

/** The index as a commit after `parent`; undefined when it holds the same files. */
export async function commitIndex(
  place: Place,
  parent: string,
  { subject, trailers, author }: CommitOptions
): Promise<string | undefined> {
  const { out } = await place.git(['write-tree'])
  const tree = out.trim()
  if (tree === (await treeOf(place, parent))) return undefined
  const message = messageOf(subject, trailers)
  return writeCommit(place, { tree, parents: [parent], author, message })
}

/** Moves a ref, but only from where the caller saw it; undefined means that it must not exist yet. */
export async function moveRef(place: Place, ref: string, to: string, from: string | undefined) {
  await place.git(['update-ref', ref, to, from ?? NO_COMMIT])
}

export async function treeOf(place: Place, commit: string): Promise<string> {
  const known = place.memory.trees.get(commit)
  if (known !== undefined) return known
  const { out } = await place.git(['rev-parse', '--verify', `${commit}^{tree}`])
  remember(place.memory.trees, commit, out.trim())
  return out.trim()
}

/** The commit that this one was made on top of. */
export async function parentOf(place: Place, commit: string): Promise<string> {
  const known = place.memory.parents.get(commit)
  if (known !== undefined) return known
  const { out } = await place.git(['rev-parse', '--verify', `${commit}^`])
  return out.trim()
}

export async function isAncestor(place: Place, older: string, newer: string): Promise<boolean> {
  if (older === newer || place.memory.parents.get(newer) === older) return true
  const { code } = await place.git(['merge-base', '--is-ancestor', older, newer], { codes: [0, 1] })
  return code === 0
}

/** A subject, and facts below it that `git log` can read back. */
function messageOf(subject: string, trailers: Readonly<Record<string, string>>): string {
  const lines = Object.entries(trailers).map(([key, value]) => `${key}: ${oneLine(value)}`)
  return [oneLine(subject) || 'Work by Kilo', ...(lines.length ? ['', ...lines] : [])].join('\n')
}

/** The job that made this commit, or that last touched this path before it. Only Kilo's commits can say so. */
export async function jobOf(
  place: Place,
  commit: string,
  path?: string
): Promise<string | undefined> {
  const { out } = await place.git([
    'log',
    '-1',
    '--format=%ae%x00%(trailers:key=Job-Id,valueonly,separator=%x2C)',
    '--end-of-options',
    commit,
    ...(path === undefined ? [] : ['--', path])
  ])
  const [author, job] = out.trim().split('\0')
  return author === KILO.email && job ? job : undefined
}

const tidy = (message: string) =>
  message.replaceAll('\0', '').trim().slice(0, MESSAGE_CHARS_MAX) || 'Save'

// oxlint-disable-next-line no-control-regex -- what must not get into a commit's header is just these
const oneLine = (text: string) => text.replace(/[\u0000-\u001f\u007f]+/g, ' ').trim()
