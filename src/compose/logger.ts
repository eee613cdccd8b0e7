import pino, { type Logger } from 'pino'

/** JSON lines on stdout. Fields with keys, passwords or tickets are redacted by name. */
export function createLogger(level: string): Logger {
  return pino({
    level,
    redact: {
      paths: ['*.authorization', '*.apiKey', '*.password', '*.ticket', 'apiKey', 'password'],
      censor: '[redacted]'
    }
  })
}
