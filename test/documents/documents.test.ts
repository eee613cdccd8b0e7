import { readFile } from 'node:fs/promises'
import t from 'tap'
import { generateDocuments, pathOf } from './documents.ts'

t.test('generated documents say what the code says', async (t) => {
  for (const document of await generateDocuments()) {
    const found = await readFile(pathOf(document), 'utf8').catch(() => 'nothing')
    t.ok(found === document.text, `${document.path} is out of date: npm run documents`)
  }
})
