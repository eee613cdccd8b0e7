import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync
} from 'node:fs'
import { dirname, join } from 'node:path'
import { codeOf } from '../files/safe-open.ts'

export const MAIN = 'refs/heads/main'

const JOB_BRANCH = /^ai\/session-[0-9A-Za-z]{26}$/

/** The ref of a job's branch: `ai/session-` and the 26 characters of the session's id. */
export function jobRef(branch: string): string {
  if (!JOB_BRANCH.test(branch)) throw new Error(`not a job's branch: ${branch}`)
  return `refs/heads/${branch}`
}

export const isJobRef = (ref: string) =>
  ref.startsWith('refs/heads/') && JOB_BRANCH.test(ref.slice('refs/heads/'.length))

/** Reads a ref's commit from git's files, without running git. Undefined when the ref does not exist. */
export function readRef(repo: string, ref: string): string | undefined {
  const loose = readText(join(repo, ref))?.trim()
  if (loose !== undefined && /^[0-9a-f]{40}$/.test(loose)) return loose

  const packed = readText(join(repo, 'packed-refs'))?.split('\n')
  return packed?.find((line) => line.slice(41) === ref)?.slice(0, 40)
}

/**
 * Compare and swap: moves a ref only if it is at `from`; undefined means that it must not exist. Writes git's file and
 * saves a process; the caller holds the project's mutex.
 */
export function writeRef(repo: string, ref: string, to: string, from: string | undefined): void {
  const at = readRef(repo, ref)
  if (at !== from) throw new Error(`${ref} is at ${at ?? 'no commit'} instead of ${from ?? 'none'}`)
  const path = join(repo, ref)
  mkdirSync(dirname(path), { recursive: true })
  // The name of a temporary file has a character that no ref can have.
  const temporary = `${path}~new`
  const fd = openSync(temporary, 'w', 0o644)
  try {
    writeFileSync(fd, `${to}\n`)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
  renameSync(temporary, path)
}

/** The ref that HEAD names, whether or not it has a commit yet. */
export function readHead(repo: string): string {
  const [, ref] = /^ref: (\S+)$/m.exec(readText(join(repo, 'HEAD')) ?? '') ?? []
  if (ref === undefined) throw new Error('HEAD names no branch')
  return ref
}

/** Points HEAD to another ref. Commits and worktree do not change. */
export function writeHead(repo: string, ref: string): void {
  const temporary = join(repo, 'HEAD.new')
  writeFileSync(temporary, `ref: ${ref}\n`)
  renameSync(temporary, join(repo, 'HEAD'))
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (['ENOENT', 'EISDIR', 'ENOTDIR'].includes(codeOf(error) ?? '')) return undefined
    throw error
  }
}
