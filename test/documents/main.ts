import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { parseArgs } from 'node:util'
import { generateDocuments, pathOf } from './documents.ts'

// `npm run documents` writes them all; with `-- --check` it names those that are out of date, and fails.
const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } })

for (const document of await generateDocuments()) {
  const path = pathOf(document)
  const before = await readFile(path, 'utf8').catch(() => undefined)
  if (before === document.text) continue
  if (values.check) {
    console.error(`${document.path} is out of date: npm run documents`)
    process.exitCode = 1
    continue
  }
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, document.text)
  console.log(`wrote ${document.path}`)
}
