/** The part of a pino logger that the product uses: facts first, then a fixed message. */
export interface Log {
  debug(facts: object, message: string): void
  info(facts: object, message: string): void
  warn(facts: object, message: string): void
  error(facts: object, message: string): void
  /** A logger that carries these facts on every line. */
  child(facts: object): Log
}

/** Discards all messages: for tests, and for code that is used as a library. */
export const silentLog: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLog
}
