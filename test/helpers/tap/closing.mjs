import { Transform } from 'node:stream'
import { Failures } from './failures.ts'
import { FileTimes } from './file-times.ts'

const TOTALS = /^# \{ total: (\d+), pass: (\d+)(?:, fail: (\d+))?/
const SKIPPED = /^\s*ok \d+ - (.+?) # SKIP (.+)$/

/**
 * Passes raw TAP through. At its end follow the skipped tests with their reasons, the failures, where the time went
 * (when more than one file ran), and as the very last line the totals alone: `65 passed, 1 failed`.
 */
export default class Closing extends Transform {
  #line = ''
  #totals
  #skipped = []
  #failures = new Failures()
  #times = new FileTimes()

  _transform(chunk, _encoding, done) {
    const lines = (this.#line + chunk).split('\n')
    this.#line = lines.pop()
    for (const line of lines) {
      this.#totals = TOTALS.exec(line) ?? this.#totals
      const [, what, why] = SKIPPED.exec(line) ?? []
      if (what) this.#skipped.push(`left out: ${what}: ${why}`)
      this.#failures.read(line)
      this.#times.read(line)
    }
    done(null, chunk)
  }

  _flush(done) {
    if (this.#skipped.length > 0) this.push(`\n\n${this.#skipped.join('\n')}`)
    for (const failure of this.#failures.texts()) this.push(`\n\n${failure}`)
    const times = this.#times.report()
    if (times.length > 0) this.push(`\n\n${times.join('\n')}`)
    if (this.#totals) this.push(`\n\n${this.#totals[2]} passed, ${this.#totals[3] ?? 0} failed\n`)
    done()
  }
}
