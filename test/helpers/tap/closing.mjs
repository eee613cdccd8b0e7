import { Transform } from 'node:stream'
import { Failures } from './failures.ts'

const TOTALS = /^# \{ total: (\d+), pass: (\d+)(?:, fail: (\d+))?/
const SKIPPED = /^\s*ok \d+ - (.+?) # SKIP (.+)$/

/** Raw TAP through, then what was left out and why, what failed, and one closing line alone: `65 passed, 1 failed`. */
export default class Closing extends Transform {
  #line = ''
  #totals
  #skipped = []
  #failures = new Failures()

  _transform(chunk, _encoding, done) {
    const lines = (this.#line + chunk).split('\n')
    this.#line = lines.pop()
    for (const line of lines) {
      this.#totals = TOTALS.exec(line) ?? this.#totals
      const [, what, why] = SKIPPED.exec(line) ?? []
      if (what) this.#skipped.push(`left out: ${what}: ${why}`)
      this.#failures.read(line)
    }
    done(null, chunk)
  }

  _flush(done) {
    if (this.#skipped.length > 0) this.push(`\n\n${this.#skipped.join('\n')}`)
    for (const failure of this.#failures.told()) this.push(`\n\n${failure}`)
    if (this.#totals) this.push(`\n\n${this.#totals[2]} passed, ${this.#totals[3] ?? 0} failed\n`)
    done()
  }
}
