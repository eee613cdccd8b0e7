/** One side of a conflict: what a commit has at the path. Null where it has nothing. */
export interface ConflictSide {
  /** The git blob id. */
  readonly sha: string
  readonly mode: string
}

export interface Conflict {
  /** A path that exists on at least one side. */
  readonly path: string
  /** git's word for it: `content`, `add-add`, `modify-delete`, `rename-rename`, `file-directory`, … */
  readonly kind: string
  readonly base: ConflictSide | null
  readonly ours: ConflictSide | null
  readonly theirs: ConflictSide | null
}

const SIDES = ['base', 'ours', 'theirs'] as const
const NO_SIDES: Pick<Conflict, (typeof SIDES)[number]> = { base: null, ours: null, theirs: null }

/** Later kinds are named only when there is no earlier one: they come with it, and say less. */
const LESS_TELLING = new Set(['content', 'binary'])

/**
 * Reads the output of `merge-tree -z --messages` after the tree: the higher stages of the index, an empty record, then a
 * message for each event, with its paths and its type.
 *
 * When a file is in the way of a folder, git moves it to a name of its own (`b.txt~0f61…`), which no client can open.
 * The message of that event names both, and the conflict gets the path that the file has on its side.
 */
export function parseConflicts(out: string): {
  readonly conflicts: readonly Conflict[]
  /** git's own names of the entries in conflict, also the invented ones. */
  readonly entries: readonly string[]
} {
  const records = out.split('\0')
  const end = records.indexOf('')
  const stages = records.slice(0, end === -1 ? undefined : end).map(parseStage)
  const messages = end === -1 ? [] : parseMessages(records.slice(end + 1))
  const original = new Map(messages.flatMap(movedAside))

  const sides = new Map<string, Partial<Record<(typeof SIDES)[number], ConflictSide>>>()
  for (const { path, side, mode, sha } of stages) {
    const known = original.get(path) ?? path
    sides.set(known, { ...sides.get(known), [side]: { sha, mode } })
  }
  const conflicts = [...sides]
    .map(([path, found]) => ({
      path,
      kind: kindOf(path, messages, original),
      ...NO_SIDES,
      ...found
    }))
    .sort((a, b) => (a.path < b.path ? -1 : 1))
  return { conflicts, entries: [...new Set(stages.map(({ path }) => path))] }
}

/** The names that git invents, with the path of the file that each stands for. */
function movedAside({ kind, paths }: Message): [string, string][] {
  const [first = '', ...others] = paths
  if (kind === 'file-directory') return others.map((path) => [first, path])
  if (kind === 'distinct-types') return others.map((moved) => [moved, first])
  return []
}

interface Message {
  readonly kind: string
  readonly paths: readonly string[]
}

function parseStage(record: string) {
  const tab = record.indexOf('\t')
  const [mode = '', sha = '', stage = '1'] = record.slice(0, tab).split(' ')
  return { path: record.slice(tab + 1), mode, sha, side: SIDES[Number(stage) - 1] ?? 'base' }
}

/** Each: the number of paths, the paths, the type, and the sentence, which names commits and is not needed here. */
function parseMessages(records: readonly string[]): Message[] {
  const messages: Message[] = []
  for (let at = 0; at < records.length;) {
    const count = Number(records[at])
    if (!Number.isInteger(count) || records[at] === '') break
    const paths = records.slice(at + 1, at + 1 + count)
    const [type = '', sentence = ''] = records.slice(at + 1 + count)
    const kind = kindOfMessage(type, sentence)
    if (kind !== undefined) messages.push({ kind, paths })
    at += count + 3
  }
  return messages
}

/** `CONFLICT (modify/delete)` is `modify-delete`; two added files are a conflict of contents whose sentence says so. */
function kindOfMessage(type: string, sentence: string): string | undefined {
  const [, name] = /^CONFLICT \((.+)\)$/.exec(type.trim()) ?? []
  if (name === undefined) return undefined
  if (sentence.startsWith('CONFLICT (add/add)')) return 'add-add'
  return NAMES.get(name) ?? name.replaceAll(/[^a-z]+/g, '-')
}

const NAMES = new Map([
  ['contents', 'content'],
  ['distinct modes', 'distinct-types']
])

function kindOf(
  path: string,
  messages: readonly Message[],
  original: ReadonlyMap<string, string>
): string {
  const kinds = messages
    .filter(({ paths }) => paths.some((named) => (original.get(named) ?? named) === path))
    .map(({ kind }) => kind)
  return kinds.find((kind) => !LESS_TELLING.has(kind)) ?? kinds[0] ?? 'content'
}
