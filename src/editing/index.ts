export {
  createEditing,
  type Editing,
  type EditingDeps,
  type NewProject,
  type ProjectWithHead,
  type SaveRequest
} from './editing.ts'
export { forClients, fromClient } from '#workspaces'
export { createQuota, type Quota } from './quota.ts'
