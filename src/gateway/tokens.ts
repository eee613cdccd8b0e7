import { createHash, randomBytes } from 'node:crypto'
import type { ProjectId } from '#kernel/ids.ts'

const TOKEN_BYTES = 32

export interface Tokens {
  /** A new one for the project; the one before is worth nothing from now on. */
  issue(projectId: ProjectId): string
  revoke(token: string): void
  projectOf(token: string): ProjectId | undefined
}

/** What an agent shows instead of a provider's key: 256 random bits for one process of one project. */
export function createTokens(): Tokens {
  // By digest, so that looking one up takes the same time whatever was guessed.
  const projects = new Map<string, ProjectId>()
  const current = new Map<ProjectId, string>()
  const digest = (token: string) => createHash('sha256').update(token).digest('base64')

  return {
    issue(projectId) {
      const token = `gw_${randomBytes(TOKEN_BYTES).toString('base64url')}`
      const before = current.get(projectId)
      if (before !== undefined) projects.delete(before)
      current.set(projectId, digest(token))
      projects.set(digest(token), projectId)
      return token
    },
    revoke(token) {
      const project = projects.get(digest(token))
      if (project === undefined) return
      projects.delete(digest(token))
      current.delete(project)
    },
    projectOf: (token) => projects.get(digest(token))
  }
}
