import { access, constants, readFile, realpath } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

const require = createRequire(import.meta.url)

export interface KiloBinary {
  readonly path: string
  /** The folder of Kilo's package, which also holds its helper programs; undefined for a program on its own. */
  readonly packageBin: string | undefined
  readonly version: string
}

/** The program to spawn. It is checked without being started, which would take seconds. */
export async function findKilo(kiloBin: string | undefined): Promise<KiloBinary> {
  const path = kiloBin ?? installedKilo()
  if (path === undefined) {
    throw new Error(
      `Kilo is not installed for ${process.platform}-${process.arch}: set KILO_BIN to its native program`
    )
  }
  const real = await realpath(path).catch(() => undefined)
  if (real === undefined)
    throw new Error(`KILO_BIN: no file at ${path}; set it to Kilo's native program`)
  await access(real, constants.X_OK).catch(() => {
    throw new Error(`KILO_BIN: ${path} is not executable; set it to Kilo's native program`)
  })

  const described = await readPackage(join(dirname(real), '..', 'package.json'))
  return {
    path: real,
    packageBin: described ? dirname(real) : undefined,
    version: described?.version ?? 'unknown'
  }
}

/** Kilo's `glob` and `grep` need ripgrep, and would download it if it is missing. */
export async function findRipgrep(): Promise<string | undefined> {
  return import('@vscode/ripgrep').then(
    ({ rgPath }) => rgPath,
    () => undefined
  )
}

function installedKilo(): string | undefined {
  try {
    const name = `@kilocode/cli-${process.platform}-${process.arch}`
    return join(dirname(require.resolve(`${name}/package.json`)), 'bin', 'kilo')
  } catch {
    return undefined
  }
}

async function readPackage(path: string): Promise<{ version: string } | undefined> {
  try {
    const described = JSON.parse(await readFile(path, 'utf8')) as {
      name?: string
      version?: string
    }
    const isKilo = described.name?.includes('kilo') && described.version !== undefined
    return isKilo ? { version: String(described.version) } : undefined
  } catch {
    return undefined
  }
}
