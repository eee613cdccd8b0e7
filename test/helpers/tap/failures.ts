const SUBTEST = /^(\s*)# Subtest: (.+)$/
const FAILED = /^(\s*)not ok \d+ - (.+?)(?: # time=\S+)?$/
const EXCUSED = / # (?:TODO|SKIP)\b/i
const INDENT = 4

interface Failure {
  path: string[]
  diagnostics: string[]
}

/**
 * The failures in raw TAP, each with the tests around it and its diagnostics, so that they can be repeated at the end of a log
 * of 10,000 lines. A test that failed only because a test inside it failed is not reported itself.
 */
export class Failures {
  #path: string[] = []
  #failed: Failure[] = []
  #open: Failure | undefined

  /** One line of TAP, in order and without its line break. */
  read(line: string): void {
    const [, subtestIndent = '', subtest] = SUBTEST.exec(line) ?? []
    if (subtest) this.#path = [...this.#path.slice(0, subtestIndent.length / INDENT), subtest]
    const [, indent = '', name] = (!EXCUSED.test(line) && FAILED.exec(line)) || []
    if (name) this.#begin([...this.#path.slice(0, indent.length / INDENT), name])
    else this.#diagnose(line)
  }

  /** A text for each failure. */
  texts(): string[] {
    return this.#failed.map(({ path, diagnostics }) =>
      [`failed: ${path.join(' > ')}`, ...diagnostics].join('\n')
    )
  }

  #begin(path: string[]): void {
    this.#open = undefined
    const isParent = this.#failed.some((failure) =>
      path.every((name, depth) => failure.path[depth] === name)
    )
    if (isParent) return
    this.#open = { path, diagnostics: [] }
    this.#failed.push(this.#open)
  }

  #diagnose(line: string): void {
    if (!this.#open) return
    const begins = this.#open.diagnostics.length === 0
    if (begins && line.trim() !== '---') this.#open = undefined
    else this.#open.diagnostics.push(line)
    if (line.trim() === '...') this.#open = undefined
  }
}
