import { writeObject } from '../git/objects.ts'
import { remember, type WorkspaceContext } from './context.ts'
import { MAIN, writeRef } from '../git/refs.ts'

export interface Author {
  readonly name: string
  readonly email: string
}

/** The committer of every commit, and the author of those that the server makes by itself. */
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

/** Writes a commit object. No ref points to it yet. */
export async function writeCommit(context: WorkspaceContext, draft: CommitDraft): Promise<string> {
  const at = `${Math.floor(context.clock.now().getTime() / 1000)} +0000`
  const lines = [
    `tree ${draft.tree}`,
    ...draft.parents.map((parent) => `parent ${parent}`),
    `author ${signature(draft.author)} ${at}`,
    `committer ${signature(KILOWATT)} ${at}`,
    '',
    cleanMessage(draft.message),
    ''
  ]
  const commit = await writeObject(context.repo, 'commit', Buffer.from(lines.join('\n')))
  remember(context.memory.trees, commit, draft.tree)
  const [parent] = draft.parents
  if (parent !== undefined) remember(context.memory.parents, commit, parent)
  return commit
}

/** Removes the characters that delimit a commit header, so that a name cannot forge another author or committer. */
function signature({ name, email }: Author): string {
  const plain = (text: string) => oneLine(text.replace(/[<>]/g, ''))
  return `${plain(name) || 'Unknown'} <${plain(email).replaceAll(' ', '')}>`
}

export interface CommitOptions {
  readonly subject: string
  readonly trailers: Readonly<Record<string, string>>
  readonly author: Author
}

/** Commits the index on top of `parent`; returns undefined when both hold the same files. */
export async function commitIndex(
  context: WorkspaceContext,
  parent: string,
  { subject, trailers, author }: CommitOptions
): Promise<string | undefined> {
  const { out } = await context.git(['write-tree'])
  const tree = out.trim()
  if (tree === (await treeOf(context, parent))) return undefined
  const message = messageOf(subject, trailers)
  return writeCommit(context, { tree, parents: [parent], author, message })
}

/** Compare and swap: moves a ref only if it is at `from`; undefined means that it must not exist yet. */
export const moveRef = (
  { repo }: WorkspaceContext,
  ref: string,
  to: string,
  from: string | undefined
): void => writeRef(repo, ref, to, from)

export async function treeOf(context: WorkspaceContext, commit: string): Promise<string> {
  const known = context.memory.trees.get(commit)
  if (known !== undefined) return known
  const { out } = await context.git(['rev-parse', '--verify', `${commit}^{tree}`])
  remember(context.memory.trees, commit, out.trim())
  return out.trim()
}

/** The first parent of a commit. */
export async function parentOf(context: WorkspaceContext, commit: string): Promise<string> {
  const known = context.memory.parents.get(commit)
  if (known !== undefined) return known
  const { out } = await context.git(['rev-parse', '--verify', `${commit}^`])
  return out.trim()
}

export async function isAncestor(
  context: WorkspaceContext,
  older: string,
  newer: string
): Promise<boolean> {
  if (older === newer || context.memory.parents.get(newer) === older) return true
  const { code } = await context.git(['merge-base', '--is-ancestor', older, newer], {
    codes: [0, 1]
  })
  return code === 0
}

/** A subject, and below it trailers, which `git log` can parse. */
function messageOf(subject: string, trailers: Readonly<Record<string, string>>): string {
  const lines = Object.entries(trailers).map(([key, value]) => `${key}: ${oneLine(value)}`)
  return [oneLine(subject) || 'Work by Kilo', ...(lines.length ? ['', ...lines] : [])].join('\n')
}

/** The job of this commit, or of the last commit up to it that changed `path`. Ignores trailers of people's commits. */
export async function jobOf(
  context: WorkspaceContext,
  commit: string,
  path?: string
): Promise<string | undefined> {
  const { out } = await context.git([
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

/** The newest commit of main after `since` by this author that changed the path; undefined without one. */
export async function findCommit(
  context: WorkspaceContext,
  path: string,
  { since, authorEmail }: { readonly since: string; readonly authorEmail: string }
): Promise<string | undefined> {
  const range = `${since}..${MAIN}`
  const { out } = await context.git([
    'log',
    '--format=%H %ae',
    '--end-of-options',
    range,
    '--',
    path
  ])
  const [commit] = out.split('\n').flatMap((line) => {
    const [id = '', email] = line.split(' ')
    return email === authorEmail ? [id] : []
  })
  return commit
}

const cleanMessage = (message: string) =>
  message.replaceAll('\0', '').trim().slice(0, MESSAGE_CHARS_MAX) || 'Save'

// oxlint-disable-next-line no-control-regex -- these are the characters that must not get into a commit's header
const oneLine = (text: string) => text.replace(/[\u0000-\u001f\u007f]+/g, ' ').trim()
