import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { listening } from './given-proxy.ts'

const run = promisify(execFile)

/** The name of the registry: it exists in no DNS. */
export const REGISTRY = 'registry.test'

interface Teardown {
  teardown(end: () => unknown): void
}

/**
 * An npm registry with one package, over TLS with a certificate of its own authority. Undefined where a program that
 * makes it is missing.
 */
export async function localRegistry(t: Teardown) {
  const folder = await mkdtemp(join(tmpdir(), 'kilowatt-registry-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'ca.pem')]
  const subject = ['-subj', `/CN=${REGISTRY}`, '-addext', `subjectAltName=DNS:${REGISTRY}`]
  const files = ['-keyout', key, '-out', certificate]
  const made = await run('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
    ...['-days', '2', ...subject, ...files]
  ]).catch(() => undefined)
  if (!made) return undefined

  const packed = join(folder, 'package')
  await mkdir(packed)
  await writeFile(join(packed, 'package.json'), '{"name":"tiny","version":"1.0.0"}')
  await writeFile(join(packed, 'index.js'), 'module.exports = 42\n')
  await run('tar', ['-czf', join(folder, 'tiny.tgz'), '-C', folder, 'package'])
  const tarball = await readFile(join(folder, 'tiny.tgz'))
  const integrity = `sha512-${createHash('sha512').update(tarball).digest('base64')}`

  const requests: string[] = []
  const tls = { key: await readFile(key), cert: await readFile(certificate) }
  const server = createServer(tls, (request, response) => {
    requests.push(request.url ?? '')
    if (request.url?.endsWith('.tgz')) return void response.end(tarball)
    if (request.url !== '/tiny') return void response.writeHead(404).end('{}')
    const dist = { tarball: `https://${REGISTRY}:${port}/tiny/-/tiny-1.0.0.tgz`, integrity }
    const versions = { '1.0.0': { name: 'tiny', version: '1.0.0', dist } }
    const packument = { name: 'tiny', 'dist-tags': { latest: '1.0.0' }, versions }
    response.setHeader('content-type', 'application/json').end(JSON.stringify(packument))
  })
  const port = await listening(t, server)
  t.teardown(() => server.closeAllConnections())
  return { port, url: `https://${REGISTRY}:${port}/`, caFile: certificate, keyFile: key, requests }
}
