/** The part of a pino logger that we use: facts first, then a sentence that never changes. */
export interface Log {
  debug(facts: object, sentence: string): void
  info(facts: object, sentence: string): void
  warn(facts: object, sentence: string): void
  error(facts: object, sentence: string): void
  /** A logger that carries these facts on every line. */
  child(facts: object): Log
}

/** Says nothing: for tests, and for code that is used as a library. */
export const silentLog: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLog
}
