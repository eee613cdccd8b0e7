const utf8 = new TextDecoder('utf-8', { fatal: true })

/** The value of a JSON text in UTF-8. Throws for other bytes. */
export const parseJson = (bytes: Uint8Array): unknown => JSON.parse(utf8.decode(bytes))
