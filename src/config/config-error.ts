const SHOWN_CHARS_MAX = 60

/** A setting that stops the start. Its message is one line: which setting, what was given, what is allowed. */
export class ConfigError extends Error {
  readonly setting: string

  constructor(setting: string, message: string) {
    super(`${setting} ${message}`)
    this.name = 'ConfigError'
    this.setting = setting
  }
}

/** Refuses a value, and shows it: not for secrets, nor for what may hold one. */
export const refuse = (setting: string, given: string, allowed: string): ConfigError =>
  new ConfigError(setting, `is ${shown(given)}: give ${allowed}.`)

/** Refuses a value without showing it. */
export const refuseSecret = (setting: string, allowed: string): ConfigError =>
  new ConfigError(setting, `is not usable: give ${allowed}.`)

function shown(given: string): string {
  const text = given.length > SHOWN_CHARS_MAX ? `${given.slice(0, SHOWN_CHARS_MAX)}…` : given
  return JSON.stringify(text)
}
