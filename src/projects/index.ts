export { ownProject } from './projects.ts'
export {
  insertProject,
  markProjectDeleted,
  projectExists,
  readDeletedProjects,
  readProject,
  readProjects,
  updateProject,
  type Project
} from './project-store.ts'
