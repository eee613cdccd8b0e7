const ENTITY_TAG = /^(W\/)?"([!#-~]*)"$/

export type Tags = '*' | readonly { readonly weak: boolean; readonly tag: string }[]

export const etagOf = (sha: string): string => `"${sha}"`

/** Parses `If-Match` and `If-None-Match`; undefined when the header is invalid. */
export function readTags(header: string): Tags | undefined {
  if (header.trim() === '*') return '*'
  const tags = []
  for (const item of header.split(',')) {
    const [, weak, tag] = ENTITY_TAG.exec(item.trim()) ?? []
    if (tag === undefined) return undefined
    tags.push({ weak: weak !== undefined, tag })
  }
  return tags
}

/** Whether the list contains the tag of this content; weak tags only match if `weak` is set. */
export const hasTag = (tags: Tags, sha: string, { weak }: { weak: boolean }): boolean =>
  tags === '*' || tags.some((one) => one.tag === sha && (weak || !one.weak))
