export {
  createEditing,
  type Editing,
  type EditingDeps,
  type NewProject,
  type ProjectWithHead,
  type SaveRequest
} from './editing.ts'
export { createQuota, type Quota } from './quota.ts'
