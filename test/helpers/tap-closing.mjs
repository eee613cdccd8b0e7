import { Transform } from 'node:stream'

const TOTALS = /^# \{ total: (\d+), pass: (\d+)(?:, fail: (\d+))?/gm

/** Raw TAP through, then one closing line alone: `65 passed, 1 failed`. */
export default class Closing extends Transform {
  #tail = ''

  _transform(chunk, _encoding, done) {
    this.#tail = (this.#tail + chunk).slice(-4096)
    done(null, chunk)
  }

  _flush(done) {
    const last = [...this.#tail.matchAll(TOTALS)].at(-1)
    if (last) this.push(`\n\n${last[2]} passed, ${last[3] ?? 0} failed\n`)
    done()
  }
}
