import { randomUUID } from 'node:crypto'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { MAIN } from '../git/refs.ts'
import { moveRef, treeOf, writeCommit, type Author } from './commits.ts'
import type { WorkspaceContext, WorktreeHead } from './context.ts'

interface CommitNote {
  readonly author: Author
  readonly message: string
}

/**
 * Commits one edit on main, and while a job runs on its branch too. These are two commits without common ancestry above
 * the job's start, so that the job's work is merged three ways with what people saved: an edit that the job kept is the
 * same on both sides, one that it overwrote is a conflict. The index holds the files of the branch that the worktree is
 * on; when main has other files, its tree is built in a temporary index.
 */
export async function commitEdit(
  context: WorkspaceContext,
  { main, commit, tip, ref, onJob }: WorktreeHead,
  edit: readonly string[],
  note: CommitNote
): Promise<string> {
  const isSame = (await treeOf(context, main)) === (await treeOf(context, commit))
  const tree = await writeEdited(context, {}, edit)
  const mainTree = isSame
    ? tree
    : await withTemporaryIndex(context, main, (env) => writeEdited(context, env, edit))

  const onMain = await commitTree(context, mainTree, main, note)
  if (onMain !== main) moveRef(context, MAIN, onMain, main)
  if (!onJob) return onMain

  // The trailer also keeps the two from being the same commit.
  const message = `${note.message.trim() || 'Save'}\n\nSaved-On-Main: ${onMain}`
  const onBranch = await commitTree(context, tree, commit, { ...note, message })
  if (onBranch !== commit) moveRef(context, ref, onBranch, tip)
  return onMain
}

async function writeEdited(
  context: WorkspaceContext,
  env: Readonly<Record<string, string>>,
  edit: readonly string[]
): Promise<string> {
  await context.git(['update-index', ...edit], { env })
  return (await context.git(['write-tree'], { env })).out.trim()
}

/** Returns the parent when the tree is the same. */
async function commitTree(
  context: WorkspaceContext,
  tree: string,
  parent: string,
  { author, message }: CommitNote
): Promise<string> {
  if (tree === (await treeOf(context, parent))) return parent
  return writeCommit(context, { tree, parents: [parent], author, message })
}

async function withTemporaryIndex<T>(
  context: WorkspaceContext,
  commit: string,
  work: (env: Readonly<Record<string, string>>) => Promise<T>
): Promise<T> {
  const index = join(context.stagingDir, randomUUID())
  const env = { GIT_INDEX_FILE: index }
  try {
    await context.git(['read-tree', commit], { env })
    return await work(env)
  } finally {
    rmSync(index, { force: true })
  }
}
