const FILE_ENDED = /^(?:not )?ok \d+ - (test\/\S+\.test\.ts)\b.*? # time=([\d.]+)ms/
const SLOWEST_SHOWN = 10

/**
 * Reads the time of every test file from raw TAP, and reports the slowest files and the sum of each folder. Times are
 * wall-clock times while other files run beside, so they compare only with other runs of the whole suite.
 */
export class FileTimes {
  #files: { path: string; ms: number }[] = []

  /** One line of TAP without its line break. Lines inside a subtest are indented and do not count. */
  read(line: string): void {
    const [, path, ms] = FILE_ENDED.exec(line) ?? []
    if (path) this.#files.push({ path, ms: Number(ms) })
  }

  /** The lines of the report; none when fewer than two files ran. */
  report(): string[] {
    if (this.#files.length < 2) return []
    const slowest = this.#files.toSorted((a, b) => b.ms - a.ms).slice(0, SLOWEST_SHOWN)
    return [
      'slowest files:',
      ...slowest.map(({ path, ms }) => row(ms, path)),
      'sum by folder:',
      ...this.#sums().map(({ path, ms }) => row(ms, path)),
      row(
        this.#files.reduce((sum, { ms }) => sum + ms, 0),
        `all ${this.#files.length} files`
      )
    ]
  }

  #sums(): { path: string; ms: number }[] {
    const sums = new Map<string, number>()
    for (const { path, ms } of this.#files) {
      const folder = folderOf(path)
      sums.set(folder, (sums.get(folder) ?? 0) + ms)
    }
    return [...sums].map(([path, ms]) => ({ path, ms })).toSorted((a, b) => b.ms - a.ms)
  }
}

const row = (ms: number, what: string) => `${(ms / 1000).toFixed(1).padStart(9)} s  ${what}`

/** `test/flows` for a top folder; `test/src/http` below src, whose folders are areas of their own. */
function folderOf(path: string): string {
  const folders = path.split('/').slice(0, -1)
  return folders.slice(0, folders[1] === 'src' ? 3 : 2).join('/')
}
