import { AppError } from '#kernel/errors.ts'
import type { App } from '../app-deps.ts'

/** The content of files may contain any character: it is not stored in the database. */
const FILE_TEXT = 'content'

/** Refuses texts that PostgreSQL cannot store (U+0000) or that UTF-8 cannot encode (unpaired surrogates). */
export function refuseUnstorableText(app: App): void {
  app.addHook('preHandler', async ({ params, query, body }) => {
    for (const part of [params, query, body]) check(part)
  })
}

function check(value: unknown, name?: string): void {
  if (typeof value === 'string') return checkText(value, name)
  if (typeof value !== 'object' || value === null) return
  for (const [key, inner] of Object.entries(value)) {
    checkText(key)
    check(inner, Array.isArray(value) ? name : key)
  }
}

function checkText(text: string, name?: string): void {
  if (name !== FILE_TEXT && text.includes('\0')) {
    throw new AppError(
      'invalid_request',
      'A text contains the character U+0000, which cannot be stored'
    )
  }
  if (!text.isWellFormed()) {
    throw new AppError(
      'invalid_request',
      'A text contains an unpaired surrogate, which cannot be stored'
    )
  }
}
