import { pipeline, type Readable, type Transform } from 'node:stream'
import {
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createZstdDecompress,
  constants
} from 'node:zlib'

/** What a provider may compress its answers with, although it was asked not to: RFC 9110, section 8.4.1, and RFC 8878. */
const DECODERS: Readonly<Record<string, () => Transform>> = {
  gzip: () => createGunzip({ flush: constants.Z_SYNC_FLUSH }),
  'x-gzip': () => createGunzip({ flush: constants.Z_SYNC_FLUSH }),
  deflate: () => createInflate({ flush: constants.Z_SYNC_FLUSH }),
  br: () => createBrotliDecompress({ flush: constants.BROTLI_OPERATION_FLUSH }),
  zstd: () => createZstdDecompress()
}
const ENCODINGS_MAX = 3

/** The decoded body; the encoding's name when it is unknown. Errors of the body are those of the result. */
export function decoded(body: Readable, contentEncoding: string | undefined): Readable | string {
  const names = (contentEncoding ?? '')
    .toLowerCase()
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '' && name !== 'identity')
  const unknown = names.find((name) => !DECODERS[name])
  if (unknown !== undefined) return unknown
  if (names.length > ENCODINGS_MAX) return names.join(', ')
  // The last one was applied last.
  return names
    .toReversed()
    .reduce<Readable>((encoded, name) => pipeline(encoded, DECODERS[name]!(), () => {}), body)
}
