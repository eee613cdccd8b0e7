import { AppError } from '#kernel/errors.ts'
import type { App } from '../app-deps.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** Accepts bodies of JSON in UTF-8; an empty body with `Content-Type: application/json` counts as absent. */
export function readJsonBodies(app: App): void {
  const parse = app.getDefaultJsonParser('error', 'error')

  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, bytes, done) => {
    if (bytes.length === 0) return done(null, undefined)
    try {
      const text = utf8.decode(bytes as Buffer)
      void parse(request, text, (err, body) => (err ? done(notJson()) : done(null, body)))
    } catch {
      done(notJson())
    }
  })
}

const notJson = () => new AppError('invalid_request', 'The body must be valid JSON in UTF-8')
