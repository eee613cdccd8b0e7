import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** `KILO_BIN` for the real Kilo with an event stream that breaks on command. */
export const FAULTY_KILO = join(import.meta.dirname, 'faulty-kilo.mjs')

export interface Fault {
  readonly stream?: 'cut' | 'end' | 'stall' | 'half-open' | 'drop' | 'hollow' | 'garbage'
  readonly forMs?: number
  readonly refuse?: { readonly path: string; readonly status: number; readonly times: number }
}

export interface FaultyKilo {
  break(fault: Fault): Promise<void>
  /** Asks the real Kilo. */
  get<T>(path: string): Promise<T>
  post(path: string, body: object): Promise<void>
}

/** The one that runs in this folder of an agent's own. */
export async function faultyKilo(own: string): Promise<FaultyKilo> {
  const text = await readFile(join(own, 'home/faulty.json'), 'utf8')
  const { url, password, worktree } = JSON.parse(text) as Record<
    'url' | 'password' | 'worktree',
    string
  >
  const call = async (path: string, init: RequestInit = {}) => {
    const headers = {
      authorization: `Basic ${btoa(`kilo:${password}`)}`,
      'content-type': 'application/json',
      // Kilo does not start in the worktree.
      'x-kilo-directory': worktree
    }
    const answer = await fetch(url + path, { ...init, headers })
    if (!answer.ok) throw new Error(`Kilo answered ${answer.status} to ${path}`)
    return answer
  }
  const post = async (path: string, body: object) => {
    await call(path, { method: 'POST', body: JSON.stringify(body) })
  }
  return {
    post,
    break: (fault) => post('/faulty', fault),
    get: async <T>(path: string) => (await (await call(path)).json()) as T
  }
}
