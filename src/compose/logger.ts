import pino, { type Logger } from 'pino'

/** JSON lines on stdout. Whatever carries a key, a password or a ticket is taken out by name. */
export function createLogger(level: string): Logger {
  return pino({
    level,
    redact: {
      paths: ['*.authorization', '*.apiKey', '*.password', '*.ticket', 'apiKey', 'password'],
      censor: '[redacted]'
    }
  })
}
