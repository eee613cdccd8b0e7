export { ownProject } from './projects.ts'
export {
  insertProject,
  markProjectDeleted,
  readProjects,
  updateProject,
  type Project
} from './project-store.ts'
