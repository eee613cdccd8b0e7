import { readFileSync } from 'node:fs'

const TOKEN = new URL('turn-token', import.meta.url)

/**
 * A plugin of Kilo's: each model request carries the token of the turn that runs now. The server replaces the file at
 * the start of a turn and removes it at its end; Kilo keeps its instance, so that the next turn stays warm.
 */
export const TurnToken = async () => ({
  'chat.headers': async (_input, output) => {
    try {
      output.headers['x-kilowatt-turn'] = readFileSync(TOKEN, 'utf8')
    } catch {
      // No turn runs. The gateway refuses the request.
    }
  }
})
