import { join } from 'node:path'
import { format, getFileInfo, resolveConfig } from 'prettier'
import { scenesDocument } from '../record/scenes-document.ts'
import { currentSchemaDocument } from './current-schema.ts'
import type { GeneratedDocument } from './generated-document.ts'
import { kiloEventsDocument } from './kilo-events.ts'
import { protocolDocument, schemaDocuments } from './protocol.ts'
import { surfaceDocument } from './surface.ts'

const ROOT = join(import.meta.dirname, '../..')

/** Each makes some of them; a new kind of document is a line here. */
const GENERATORS: readonly (() => Promise<readonly GeneratedDocument[]>)[] = [
  async () => [kiloEventsDocument()],
  async () => [scenesDocument()],
  async () => schemaDocuments(),
  async () => [protocolDocument()],
  async () => [await surfaceDocument()],
  async () => [await currentSchemaDocument()]
]

export const pathOf = (document: GeneratedDocument) => join(ROOT, document.path)

/** All generated documents, as they should lie in the repository. */
export async function generateDocuments(): Promise<GeneratedDocument[]> {
  const documents = (await Promise.all(GENERATORS.map((generate) => generate()))).flat()
  return Promise.all(
    documents.map(async ({ path, text }) => {
      const filepath = join(ROOT, path)
      // Prettier does not know SQL.
      if ((await getFileInfo(filepath)).inferredParser === null) return { path, text }
      const style = await resolveConfig(filepath)
      return { path, text: await format(text, { ...style, filepath }) }
    })
  )
}
