import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { openStage } from './helpers.ts'

/** A program that starts as Kilo does, and runs this code first. */
export const kiloThat = (does: string) => `#!${process.execPath}
const { createServer } = require('node:http')
const { spawn } = require('node:child_process')
${does}
const port = process.argv[process.argv.indexOf('--port') + 1]
const bodies = {
  '/global/health': { healthy: true, version: '7.7.7' },
  '/config/warnings': [],
  '/agent': [{ name: 'code', mode: 'primary' }]
}
createServer((request, response) => {
  const { pathname } = new URL(request.url, 'http://localhost')
  if (!request.headers.authorization) return response.writeHead(401).end()
  if (pathname === '/global/event') {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    return response.write('data: {"payload":{"type":"server.connected"}}\\n\\n')
  }
  response.writeHead(200, { 'content-type': 'application/json' })
  response.end(JSON.stringify(bodies[pathname]))
}).listen(port, '127.0.0.1', () => console.log('listening on http://127.0.0.1:' + port))
`

/** A supervisor whose Kilo is this program, without a room. */
export async function stageWith(t: Test, program: string, times: object = {}) {
  const kiloBin = join(t.testdir(), 'kilo')
  await writeFile(kiloBin, program)
  await chmod(kiloBin, 0o755)
  return openStage(t, { kiloBin, isolation: 'process', times })
}
