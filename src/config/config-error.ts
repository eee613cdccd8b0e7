const SHOWN_CHARS_MAX = 60

/** An invalid setting. Its message is one line: the setting, the given value, the expected values. */
export class ConfigError extends Error {
  readonly setting: string

  constructor(setting: string, message: string) {
    super(`${setting} ${message}`)
    this.name = 'ConfigError'
    this.setting = setting
  }
}

/** An error that shows the value: not for secrets, nor for values that may contain one. */
export const refuse = (setting: string, given: string, expected: string): ConfigError =>
  new ConfigError(setting, `is ${shown(given)}: expected ${expected}.`)

/** An error that does not show the value. */
export const refuseSecret = (setting: string, expected: string): ConfigError =>
  new ConfigError(setting, `is invalid: expected ${expected}.`)

function shown(given: string): string {
  const text = given.length > SHOWN_CHARS_MAX ? `${given.slice(0, SHOWN_CHARS_MAX)}…` : given
  return JSON.stringify(text)
}
