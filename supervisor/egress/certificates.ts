import { open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Log } from '#kernel/log.ts'

/** The files of this machine with certificate authorities of its own. */
export interface CaFiles {
  /** In addition to Node's own list: NODE_EXTRA_CA_CERTS. */
  readonly node: string | undefined
  /** Instead of npm's list: its setting `cafile`. */
  readonly npm: string | undefined
}

/** The names of the copies in the folder that a room sees read-only. */
const COPIES = { node: 'node-ca.pem', npm: 'npm-ca.pem' } as const
const VARIABLES = { node: 'NODE_EXTRA_CA_CERTS', npm: 'npm_config_cafile' } as const
const BYTES_MAX = 4 * 1024 * 1024

export interface Certificates {
  /** Copies them into the folder that a room is given. */
  writeTo(folder: string): Promise<void>
  /** The variables that name them, in a room that sees this folder. */
  environment(folder: string): Record<string, string>
}

/** Reads the certificates once. A file that cannot be read is logged and left out, as Node does. */
export async function readCertificates(files: CaFiles, log: Log): Promise<Certificates> {
  const kinds = ['node', 'npm'] as const
  const found = await Promise.all(
    kinds.map(async (kind) => {
      const path = files[kind]
      if (path === undefined) return []
      try {
        return [{ kind, text: await readBounded(path) }]
      } catch (err) {
        log.warn({ err, path, setting: VARIABLES[kind] }, 'failed to read certificates')
        return []
      }
    })
  )
  const certificates = found.flat()
  return {
    async writeTo(folder) {
      for (const { kind, text } of certificates) await writeFile(join(folder, COPIES[kind]), text)
    },
    environment: (folder) =>
      Object.fromEntries(
        certificates.map(({ kind }) => [VARIABLES[kind], join(folder, COPIES[kind])])
      )
  }
}

const CERTIFICATE =
  /-----BEGIN (?:TRUSTED )?CERTIFICATE-----[^-]+-----END (?:TRUSTED )?CERTIFICATE-----/g

/** Only the certificates: a file may hold a private key as well. */
async function readBounded(path: string): Promise<string> {
  await using file = await open(path)
  const { size } = await file.stat()
  if (size > BYTES_MAX) throw new Error(`${path} has ${size} bytes, expected at most ${BYTES_MAX}`)
  const certificates = (await file.readFile('utf8')).match(CERTIFICATE) ?? []
  return certificates.map((certificate) => `${certificate}\n`).join('')
}
