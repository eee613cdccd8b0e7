import type { IncomingHttpHeaders } from 'node:http'
import { AppError } from '#kernel/errors.ts'
import { hasTag, readTags, type Tags } from './etags.ts'

/** No blob has this id, so a save that expects it always fails. */
const NO_SHA = 'none'

/** `If-None-Match` of a read: whether the client has this content already. */
export function isKnown(headers: IncomingHttpHeaders, sha: string): boolean {
  const tags = tagsOf('if-none-match', headers)
  return tags !== undefined && hasTag(tags, sha, { weak: true })
}

/** `If-None-Match: *` of a save: only if the file does not exist. */
export function onlyIfNew(headers: IncomingHttpHeaders): '*' | undefined {
  const tags = tagsOf('if-none-match', headers)
  if (tags === undefined || tags === '*') return tags
  throw new AppError('invalid_request', 'If-None-Match of a save must be `*`')
}

/** `If-Match`: the blob id of the list that the file has now. The workspace compares it again under its lock. */
export async function expectedSha(
  headers: IncomingHttpHeaders,
  currentSha: () => Promise<string | undefined>
): Promise<string | undefined> {
  const tags = tagsOf('if-match', headers)
  if (tags === undefined || tags === '*') return tags
  const strong = tags.filter((one) => !one.weak).map((one) => one.tag)
  if (strong.length <= 1) return strong[0] ?? NO_SHA

  const sha = await currentSha()
  return strong.find((tag) => tag === sha) ?? NO_SHA
}

function tagsOf(name: 'if-match' | 'if-none-match', headers: IncomingHttpHeaders) {
  const header = headers[name]
  if (header === undefined) return undefined
  const tags: Tags | undefined = readTags(header)
  if (tags) return tags
  throw new AppError('invalid_request', `${name} must be \`*\` or a list of quoted entity tags`)
}
