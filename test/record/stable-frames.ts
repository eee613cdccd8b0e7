import type { Frame } from '#kernel/frames.ts'

/** A frame without the values that differ between runs. */
export interface StableFrame {
  readonly type: string
  readonly data: Record<string, unknown>
}

const ID = /\b(?:ses|msg|prt|per|que|call|usr|job|prj)_\w+|\b[0-9A-HJKMNP-TV-Z]{26}\b/g
/** Where a project lies on this machine. */
const WORKTREE = /\/[^\s"'<>]*?\/projects\/[^/\s]+\/worktree/g
const PORT = /http:\/\/127\.0\.0\.1:\d+/g
const COMMIT_KEYS = new Set(['base', 'head', 'commit'])

/** The frames of one job as in every run: in a fixed order, ids numbered, texts joined, and times removed. */
export function stableFrames(frames: readonly Frame[]): StableFrame[] {
  // The number of cost frames depends on the clock.
  const isChance = ({ type, data }: StableFrame) => type === 'job:credits-used' && !data['final']
  const plain = frames.map(({ type, data }) => ({ type, data: data as Record<string, unknown> }))
  // Ordered before they are numbered: otherwise chance would decide which id has the lower number.
  return numbered(inOrder(plain.filter((frame) => !isChance(frame))))
}

/** Ids are numbered as they first appear. */
function numbered(frames: readonly StableFrame[]): StableFrame[] {
  const ids = new Map<string, string>()
  const name = (id: string, kind: string) => {
    const known = ids.get(id) ?? `${kind}-${ids.size + 1}`
    ids.set(id, known)
    return known
  }
  const walk = (value: unknown, key: string): unknown => {
    if (typeof value === 'string') {
      if (COMMIT_KEYS.has(key)) return name(value, 'commit')
      if (key === 'expiresAt') return 'time'
      return value
        .replace(WORKTREE, '/worktree')
        .replace(ID, (id) => name(id, 'id'))
        .replace(PORT, 'http://127.0.0.1:port')
    }
    if (Array.isArray(value)) return value.map((one) => walk(one, key))
    if (!value || typeof value !== 'object') return value
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, walk(one, key)]))
  }
  return frames.map(({ type, data }) => {
    const facts = walk(data, '') as Record<string, unknown>
    return { type, data: type === 'job:queued' ? { ...facts, text: 'the prompt' } : facts }
  })
}

const ASKS: Readonly<Record<string, string>> = {
  'job:permission-resolved': 'job:permission',
  'job:question-resolved': 'job:question'
}

/**
 * Answers and file changes are concurrent with the agent's own events: here an answer follows its question, and files
 * stand together before the end, each in its last state.
 */
function inOrder(frames: readonly StableFrame[]): StableFrame[] {
  const isFile = ({ type }: StableFrame) => type.startsWith('job:file-')
  const files = new Map(frames.filter(isFile).map((frame) => [String(frame.data['path']), frame]))
  const ordered: StableFrame[] = []
  for (const frame of frames) {
    const asked = ASKS[frame.type]
    if (isFile(frame)) continue
    if (asked === undefined) ordered.push(frame)
    else ordered.splice(ordered.findLastIndex(({ type }) => type === asked) + 1, 0, frame)
  }
  const end = ordered.findIndex(({ type }) => type === 'job:diff' || type === 'job:credits-used')
  const paths = [...files.keys()].toSorted()
  ordered.splice(end, 0, ...paths.flatMap((path) => files.get(path) ?? []))
  return joined(ordered)
}

/** Pieces of one text, if nothing else stands between them, are one. */
function joined(frames: readonly StableFrame[]): StableFrame[] {
  const whole: StableFrame[] = []
  for (const frame of frames) {
    const last = whole.at(-1)
    const isMore = frame.type === 'job:log' && last?.type === 'job:log'
    if (isMore && last.data['partId'] === frame.data['partId']) {
      last.data['text'] = String(last.data['text']) + String(frame.data['text'])
    } else {
      whole.push({ type: frame.type, data: { ...frame.data } })
    }
  }
  return whole
}
