import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { PROTOCOL_VERSION } from '#kernel/frames.ts'
import { wireSchemas } from '../../src/http/stream/wire-schemas.ts'
import { frameTable } from './frame-table.ts'

const PAGE = 'docs/protocol.md'
const TABLE = /(<!-- frames: [^>]*-->)[\s\S]*?(<!-- \/frames -->)/

/** One JSON Schema a type, and the unions; the kit has its own copy of these, so that it stands alone. */
export function schemaDocuments() {
  const schemas = wireSchemas()
  const { frame, notice } = Object.fromEntries(schemas.map(({ name, schema }) => [name, schema]))
  return [
    ...schemas.map(({ name, schema }) => ({
      path: `docs/schemas/v${PROTOCOL_VERSION}/${name}.json`,
      text: JSON.stringify(schema)
    })),
    { path: 'fixtures/conform/schemas.json', text: JSON.stringify({ frame, notice }) }
  ]
}

/** The page as it stands, with its table of frames made anew. */
export function protocolDocument() {
  const page = readFileSync(join(import.meta.dirname, '../..', PAGE), 'utf8')
  if (!TABLE.test(page)) throw new Error(`${PAGE} has lost the marks around its table of frames`)
  return {
    path: PAGE,
    text: page.replace(TABLE, (_, begin, end) => `${begin}\n\n${frameTable()}\n\n${end}`)
  }
}
