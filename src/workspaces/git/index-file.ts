import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** git's complaints about an index file that it cannot read. */
export const BROKEN_INDEX =
  /index file (corrupt|smaller than expected|open failed)|bad (index|signature 0x)|index uses .* extension|unordered stage entries|unknown index entry format|malformed name field in the index/

/** Commands for which a missing index is an empty one. Others complain about a broken one, and need none. */
export const USES_INDEX: ReadonlySet<string | undefined> = new Set([
  'add',
  'diff-index',
  'ls-files',
  'read-tree',
  'restore',
  'status',
  'update-index',
  'write-tree'
])

const CHECKSUM_BYTES = 20

/** Whether the index exists and its content has its checksum, which git itself does not compare. */
export function isIndexSound(repo: string): boolean {
  if (!indexExists(repo)) return false
  const content = readFileSync(join(repo, 'index'))
  const end = content.length - CHECKSUM_BYTES
  if (end < 0 || content.toString('latin1', 0, 4) !== 'DIRC') return false
  return createHash('sha1').update(content.subarray(0, end)).digest().equals(content.subarray(end))
}

export const indexExists = (repo: string): boolean => existsSync(join(repo, 'index'))
