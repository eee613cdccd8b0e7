import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'

const PAGE = join(import.meta.dirname, '../../docs/protocol.md')
const ENVIRONMENT = `
const { KILOWATT_URL: url, KILOWATT_KEY: key, KILOWATT_PROJECT: projectId } = process.env
follow({ url, key, projectId, onFrame: (frame) => console.log(JSON.stringify(frame)) })
`

/** The browser client as docs/protocol.md shows it. */
export async function documentedClient(): Promise<string> {
  return /```js\n([\s\S]*?)```/.exec(await readFile(PAGE, 'utf8'))?.[1] ?? ''
}

/** A command that runs a client's code as the conformance check wants it; the code goes with the test. */
export async function clientCommand(t: Test, code: string): Promise<string> {
  const path = join(t.testdir({}), 'client.mjs')
  await writeFile(path, code + ENVIRONMENT)
  return `exec ${process.execPath} ${path}`
}
