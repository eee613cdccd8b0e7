import { randomBytes } from 'node:crypto'
import { spawn } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createKiloClient } from '@kilocode/sdk/v2/client'
import { systemClock } from '#kernel/clock.ts'
import { projectId } from '#kernel/ids.ts'
import { silentLog } from '#kernel/log.ts'
import { folderOf, makeFolder, OWN_FOLDERS } from '../../supervisor/process/agent-folder.ts'
import { findRuntime } from '../../supervisor/agent/runtime.ts'
import { launch } from '../../supervisor/agent/launch.ts'
import { kiloConfig } from '../../supervisor/agent/kilo-config.ts'
import { kiloEnvironment } from '../../supervisor/agent/kilo-environment.ts'
import { AGENT_LIMITS } from '#kernel/limits.ts'
import { AGENT_TIMES, MODEL_TIMEOUTS, type ProviderAccess } from '../../supervisor/options.ts'

const MODEL = { providerID: 'openai-compatible', modelID: 'scripted' }
const DEFAULT_MODEL = `${MODEL.providerID}/${MODEL.modelID}`

export interface BareKilo extends AsyncDisposable {
  /** A prompt in a new session, from its creation to the end of its turn, with nothing but the SDK. */
  prompt(text: string): Promise<void>
}

/** A warm `kilo serve` with exactly the configuration, environment and jail that the product gives it. */
export async function startBareKilo(
  dir: string,
  worktree: string,
  providers: readonly ProviderAccess[]
): Promise<BareKilo> {
  const agentsDir = join(dir, 'bare')
  const runtime = await findRuntime({ kiloBin: undefined, isolation: 'auto', agentsDir }, silentLog)
  const password = randomBytes(32).toString('base64url')
  const { kilo, url, http } = await launch(
    {
      ...{ worktree, runtime, agentsDir, providers, password, defaultModel: DEFAULT_MODEL },
      projectId: projectId.create(),
      modelTimeouts: MODEL_TIMEOUTS,
      modelRetriesMax: 2,
      times: AGENT_TIMES,
      limits: AGENT_LIMITS,
      clock: systemClock,
      log: silentLog,
      redact: (text) => text
    },
    new AbortController().signal
  )
  const authorization = `Basic ${btoa(`kilo:${password}`)}`
  const client = createKiloClient({
    baseUrl: url,
    headers: { authorization },
    fetch: (input, init) => http.fetch(new Request(input, init))
  })
  const closed = new Map<string, () => void>()
  const leaving = new AbortController()
  const { stream } = await client.global.event({ signal: leaving.signal })
  const listening = (async () => {
    for await (const event of stream) {
      const { type, properties } = (event as { payload: { type: string; properties: unknown } })
        .payload
      if (type !== 'session.turn.close') continue
      closed.get((properties as { sessionID: string }).sessionID)?.()
    }
  })().catch(() => {})

  return {
    async prompt(text) {
      const { data: session } = await client.session.create({ title: 'bench' })
      const ended = new Promise<void>((resolve) => closed.set(session!.id, resolve))
      await client.session.promptAsync({
        sessionID: session!.id,
        agent: 'code',
        model: MODEL,
        parts: [{ type: 'text', text }]
      })
      await ended
      closed.delete(session!.id)
    },
    async [Symbol.asyncDispose]() {
      leaving.abort()
      await kilo.stop(AGENT_TIMES.stopMs)
      await listening
    }
  }
}

/** `kilo run` as a process for one prompt, the way of those who shell out. */
export async function kiloRun(
  dir: string,
  worktree: string,
  providers: readonly ProviderAccess[],
  text: string
): Promise<void> {
  const agentsDir = join(dir, 'run')
  const folder = folderOf(agentsDir, projectId.create())
  await makeFolder(folder)
  const { kilo, rooms } = await findRuntime(
    { kiloBin: undefined, isolation: 'process', agentsDir },
    silentLog
  )
  const config = kiloConfig({
    ...{ providers, worktree, defaultModel: DEFAULT_MODEL },
    timeouts: MODEL_TIMEOUTS,
    isolated: false
  })
  await using room = await rooms.open({ ...folder, worktree, marker: 'bench', log: silentLog })
  for (const path of OWN_FOLDERS.map((name) => join(room.paths.own, name)))
    await mkdir(path, { recursive: true })
  const env = kiloEnvironment({
    ...{ config, room },
    password: '',
    modelRetriesMax: 2
  })
  const args = ['run', '--format', 'json', '--auto', '--title', 'bench']
  const child = spawn(kilo.path, args, { env, cwd: worktree, stdio: 'pipe' })
  // As an argument the prompt's quotes would be escaped; from its standard input it is taken as it is.
  child.stdin.end(text)
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk))
  child.stderr.on('data', (chunk: Buffer) => (output += chunk))
  const code = await new Promise((resolve) => child.on('exit', resolve))
  if (code !== 0) throw new Error(`kilo run ended with ${String(code)}: ${output}`)
}
