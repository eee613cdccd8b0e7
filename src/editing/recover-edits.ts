import { inTransaction } from '#db'
import { projectExists } from '#projects'
import { forClients, type Workspace } from '#workspaces'
import { authorOf } from './author.ts'
import { appendFileChange, type FileChange } from './edit-files.ts'
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
  const done = here.includes(edit.project_id)
    ? await finishEdit(deps.workspaces.open(edit.project_id), edit)
    : undefined

  await inTransaction(deps.db, async (tx) => {
    if (done !== undefined) {
      const { path, sha, user_id: by } = edit
      await appendFileChange(deps, tx, edit.project_id, { ...forClients(path!), sha, ...done, by })
    }
    await deletePendingEdit(tx, edit.id)
  })
  if (done !== undefined) deps.events.announce(edit.project_id)
  return done === undefined ? 'dropped' : 'finished'
}

type Done = Pick<FileChange, 'commit' | 'ignored'>

/** The edit's commit on main. An edit that reached the worktree only is committed now; undefined when it did not. */
async function finishEdit(workspace: Workspace, edit: PendingEdit): Promise<Done | undefined> {
  const { path, sha, head, message } = edit
  const author = authorOf(edit.user_id)
  const committed = await workspace.findCommit(path!, { since: head!, authorEmail: author.email })
  if (committed !== undefined) return { commit: committed }

  const file = await workspace.read(path!).catch(() => undefined)
  if (edit.kind === 'save') {
    if (!file || file.sha !== sha) return undefined
    const options = { author, message: message ?? undefined }
    const { commit, ignored } = await workspace.save(path!, file.content, options)
    return { commit, ...(ignored ? { ignored } : {}) }
  }
  if (file) return undefined
  const { commit } = await workspace.remove(path!, { author, evenIfGone: true })
  return { commit }
}
