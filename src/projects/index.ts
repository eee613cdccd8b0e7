export { ownProject } from './projects.ts'
export {
  insertProject,
  markProjectDeleted,
  readProject,
  readProjects,
  updateProject,
  type Project
} from './project-store.ts'
