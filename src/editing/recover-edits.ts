import { inTransaction } from '#db'
import { projectExists } from '#projects'
import type { Workspace } from '#workspaces'
import { authorOf } from './author.ts'
import { appendFileChange } from './edit-files.ts'
import type { EditingDeps } from './editing-deps.ts'
import { deletePendingEdit, readPendingEdits, type PendingEdit } from './pending-edit-store.ts'

/**
 * Finishes the edits that a crash interrupted, before the server accepts requests. An edit whose commit is on main gets
 * its event; one whose file was written and not committed is committed first; one that had changed nothing yet is dropped,
 * as its client got no answer. The workspace of a project that has no row is removed. Idempotent.
 */
export async function recoverEdits(deps: EditingDeps): Promise<void> {
  for (const edit of await readPendingEdits(deps.db)) {
    const facts = { projectId: edit.project_id, kind: edit.kind, path: edit.path }
    await (edit.kind === 'create' ? recoverCreation(deps, edit) : recoverFileEdit(deps, edit)).then(
      (result) => deps.log.warn({ ...facts, result }, 'interrupted edit recovered'),
      (err: unknown) => deps.log.error({ err, ...facts }, 'failed to recover an interrupted edit')
    )
  }
}

type Recovery = 'finished' | 'dropped'

async function recoverCreation(deps: EditingDeps, edit: PendingEdit): Promise<Recovery> {
  const exists = await projectExists(deps.db, edit.project_id)
  if (!exists) await deps.workspaces.remove(edit.project_id)
  await deletePendingEdit(deps.db, edit.id)
  return exists ? 'finished' : 'dropped'
}

async function recoverFileEdit(deps: EditingDeps, edit: PendingEdit): Promise<Recovery> {
  const here = await deps.workspaces.list()
  const commit = here.includes(edit.project_id)
    ? await commitOfEdit(deps.workspaces.open(edit.project_id), edit)
    : undefined

  await inTransaction(deps.db, async (tx) => {
    if (commit !== undefined) {
      const { path, sha, user_id: by } = edit
      await appendFileChange(deps, tx, edit.project_id, { path: path!, sha, commit, by })
    }
    await deletePendingEdit(tx, edit.id)
  })
  if (commit !== undefined) deps.events.announce(edit.project_id)
  return commit === undefined ? 'dropped' : 'finished'
}

/** The edit's commit on main. An edit that reached the worktree only is committed now; undefined when it did not. */
async function commitOfEdit(workspace: Workspace, edit: PendingEdit): Promise<string | undefined> {
  const { path, sha, head, message } = edit
  const author = authorOf(edit.user_id)
  const committed = await workspace.findCommit(path!, { since: head!, authorEmail: author.email })
  if (committed !== undefined) return committed

  const file = await workspace.read(path!).catch(() => undefined)
  if (edit.kind === 'save') {
    if (!file || file.sha !== sha) return undefined
    const options = { author, message: message ?? undefined }
    return (await workspace.save(path!, file.content, options)).commit
  }
  if (file) return undefined
  return (await workspace.remove(path!, { author, evenIfGone: true })).commit
}
