import { createHash, randomBytes } from 'node:crypto'
import type { ProjectId } from '#kernel/ids.ts'

const TOKEN_BYTES = 32

export interface Tokens {
  /** Issues a token for the project, and revokes the previous one. */
  issue(projectId: ProjectId): string
  revoke(token: string): void
  projectOf(token: string): ProjectId | undefined
}

/** Tokens are compared by digest, so that the time does not depend on how much of a guess is right. */
export const digestOf = (token: string): Buffer => createHash('sha256').update(token).digest()

/** Capability tokens that agents use instead of a provider's key: 256 random bits per process. */
export function createTokens(): Tokens {
  const projects = new Map<string, ProjectId>()
  const current = new Map<ProjectId, string>()
  const digest = (token: string) => digestOf(token).toString('base64')

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
