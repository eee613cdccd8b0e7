import { inTransaction, type Tx } from '#db'
import type { EditingDeps } from './editing-deps.ts'
import { deletePendingEdit, insertPendingEdit, type NewPendingEdit } from './pending-edit-store.ts'

/**
 * Makes one edit: records it, lets `change` change the workspace, then lets `record` write what the edit means to the
 * database in the transaction that removes the record. An edit that a crash interrupts in between leaves its record,
 * which `recoverEdits` finishes. An edit that fails leaves none.
 */
export async function makeEdit<T>(
  { db, log }: EditingDeps,
  edit: NewPendingEdit,
  change: () => Promise<T>,
  record: (tx: Tx, changed: T) => Promise<void>
): Promise<T> {
  const id = await insertPendingEdit(db, edit)
  let changed: T
  try {
    changed = await change()
  } catch (error) {
    // A record that stays is harmless: recovery finds that the workspace has not changed.
    await deletePendingEdit(db, id).catch((err: unknown) =>
      log.warn({ err, projectId: edit.projectId }, 'failed to remove the record of an edit')
    )
    throw error
  }
  await inTransaction(db, async (tx) => {
    await record(tx, changed)
    await deletePendingEdit(tx, id)
  })
  return changed
}
