import { homedir, hostname, tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { STABLE } from '#fixtures'

const ROOT = join(import.meta.dirname, '../..')
const HOUR_MS = 60 * 60 * 1000

/** What may be in no recording: this machine, this hour, and anything that opens something. */
export function secretsIn(text: string): string[] {
  const words = [hostname(), ROOT, join(tmpdir(), 'kilowatt'), process.env['HOSTNAME'] ?? '']
  // Kilo's program calls its own inside `/$bunfs/root`.
  const outside = text.replaceAll('/$bunfs/root/', '')
  const places = [homedir(), `/home/${userInfo().username}`]
  return [
    ...[...words, ...places].filter((word) => word.length > 3 && outside.includes(word)),
    ...all(text, /\b(?:Basic|Bearer) [A-Za-z0-9+/=_-]{8,}/g),
    ...all(text, /\b(?:sk|pk|kw|rk)-[A-Za-z0-9_-]{8,}/g),
    ...all(text, /\b[a-z][a-z0-9+.-]*:\/\/[^\s"'`\\<>()[\]]*/gi).filter((url) => !isStable(url)),
    // Ids of this run: ours are numbers with zeros before them.
    ...all(text, /\b[a-z]{2,5}_(?!0{8})[0-9a-f]{12}[0-9A-Za-z]{14}\b/g),
    // Git's ids, but for those of a file: they say nothing that its content does not.
    ...all(text, /(?<!"sha":")\b(?!0{30})[0-9a-f]{40}\b/g),
    ...all(text, /\b01[0-9A-HJKMNP-TV-Z]{24}\b/g),
    ...all(text, /"slug":"(?!slug-\d)[^"]*"/g),
    ...all(text, /\b127\.0\.0\.1:(?!4100|4096|9\b)\d+/g),
    ...all(text, /(?<![\d.])1[5-9]\d{11}(?![\d.])/g).filter((ms) => isOther(Number(ms))),
    ...all(text, /\b20\d\d-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)/g).filter((iso) =>
      isOther(Date.parse(iso))
    )
  ]
}

const all = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map(([found]) => found)
const PLACES = [STABLE.model, `file://${STABLE.worktree}`, 'http://127.0.0.1:port']
const isStable = (url: string) => PLACES.some((place) => url.startsWith(place))
const isOther = (ms: number) => Math.abs(ms - STABLE.epochMs) > HOUR_MS
