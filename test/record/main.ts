import { writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import {
  installedKilo,
  listRecordings,
  readRecording,
  readServerFacts,
  record,
  RECORDINGS_DIR,
  SCENES,
  writeRecording,
  type Recording,
  type RecordOptions,
  type Scene
} from '#fixtures'
import { runProgram, WrongArgument } from '../../fixtures/command-line.ts'
import { refuseShortKey } from '../../fixtures/record/redact/redact.ts'
import { refuseSecrets } from '../../fixtures/record/redact/secrets.ts'
import { differences } from './compare.ts'
import { eventsOf } from './events-of.ts'
import { complaintsAbout } from './soundness.ts'

const USAGE = `npm run record -- [what] [how]
  --scene <name>     records this scene; may be given several times
  --all              records every scene, and what Kilo answers that belongs to none
  --list             says which scenes there are
  --expect           writes only events.json and frames.json anew, from the recordings that are there
  --check            records, writes nothing, and says what is different from what was recorded
  --out <dir>        a folder for the recordings instead of fixtures/sse; a real model needs one
  --model-url <url>  records a real model (with /v1; its key is taken from RECORD_MODEL_KEY)
  --model <name>     the name of that model
  --protocol <name>  how it is talked to: openai, or anthropic`

const options = {
  scene: { type: 'string', multiple: true },
  all: { type: 'boolean', default: false },
  list: { type: 'boolean', default: false },
  expect: { type: 'boolean', default: false },
  check: { type: 'boolean', default: false },
  out: { type: 'string', default: RECORDINGS_DIR },
  'model-url': { type: 'string' },
  model: { type: 'string' },
  protocol: { type: 'string', default: 'openai' }
} as const

/** How it is recorded, and where to. */
interface How {
  readonly check: boolean
  readonly out: string
  readonly options: RecordOptions
}

await runProgram({ name: 'record', usage: USAGE, options }, async ({ values }) => {
  const { scene: names = [], all, list, expect, check } = values
  // Where the replay looks for it begins elsewhere.
  const out = resolve(values.out)
  const how = { check, out, options: modelOf(values) }
  if (how.options.model && out === RECORDINGS_DIR) {
    throw new WrongArgument('a real model needs --out: its recordings are not the scripted ones')
  }
  const unknown = names.filter((name) => !SCENES.some((scene) => scene.name === name))
  if (unknown.length > 0) {
    throw new WrongArgument(`there is no scene ${unknown.join(', ')}; --list says which there are`)
  }
  const wanted = SCENES.filter(({ name }) => all || names.includes(name))

  if (list) return listScenes()
  if (expect) return expectAll(out)
  if (wanted.length === 0) {
    throw new WrongArgument('say what to record: --scene <name>, --all, --list or --expect')
  }
  await recordAll(wanted, how)
  if (all && !check) await writeServerFacts(out)
})

/** A real model, when one is named; else the scripted one plays. */
function modelOf(values: {
  readonly 'model-url'?: string | undefined
  readonly model?: string | undefined
  readonly protocol: string
}): RecordOptions {
  const { 'model-url': url, model: name, protocol } = values
  if (protocol !== 'openai' && protocol !== 'anthropic') {
    throw new WrongArgument(`--protocol must be openai or anthropic, not “${protocol}”`)
  }
  if (!url && !name) return {}
  if (!url || !name) throw new WrongArgument('a real model needs both --model-url and --model')
  const apiKey = process.env['RECORD_MODEL_KEY'] ?? ''
  try {
    refuseShortKey(apiKey)
  } catch (error) {
    throw new WrongArgument(`RECORD_MODEL_KEY: ${(error as Error).message}`)
  }
  return { model: { url, name, apiKey }, protocol }
}

function listScenes(): void {
  for (const { name, says } of SCENES) console.log(`${name.padEnd(28)} ${says}`)
}

async function expectAll(out: string): Promise<void> {
  const { version } = await installedKilo()
  const names = await listRecordings(version, out)
  const recordings = await Promise.all(names.map((name) => readRecording(name, version, out)))
  for (const recording of recordings) await expectOf(recording, out)
  await writeAllFrames(recordings, out)
}

/** Loads the whole product, which most uses of this program do not need. */
async function writeAllFrames(recordings: readonly Recording[], out: string): Promise<void> {
  const { writeFrames } = await import('./frames-of.ts')
  await writeFrames(recordings, out)
}

async function recordAll(wanted: readonly Scene[], how: How): Promise<void> {
  const written: Recording[] = []
  for (const scene of wanted) {
    const what = await recorded(scene, how, written).catch((error: unknown) => {
      process.exitCode = 1
      return `not recorded: ${String(error)}`
    })
    console.log(`${scene.name}: ${what}`)
  }
  if (written.length > 0) await writeAllFrames(written, how.out)
}

async function recorded(
  scene: Scene,
  { check, out, options }: How,
  written: Recording[]
): Promise<string> {
  const recording = await record(scene, options)
  const complaints = complaintsAbout(recording)
  // A real model may do something else than the scene expects, and that is to be seen.
  if (complaints.length > 0 && !options.model) throw new Error(complaints.join('; '))
  if (check) {
    const found = await differences(await readRecording(scene.name), recording)
    if (found.length > 0) process.exitCode = 1
    return found.length === 0 ? 'as it was' : `different\n  ${found.join('\n  ')}`
  }
  await writeRecording(recording, out)
  await expectOf(recording, out)
  written.push(recording)
  return `${recording.at.length} messages, ${recording.stream.length} bytes`
}

/** What the product makes of a recording lies beside it. */
async function expectOf(recording: Recording, out: string): Promise<void> {
  const lines = (await eventsOf(recording)).map((event) => JSON.stringify(event))
  const path = join(out, recording.kilo, recording.scene, 'events.json')
  const text = lines.length === 0 ? '[]\n' : `[\n${lines.join(',\n')}\n]\n`
  refuseSecrets(`What is made of “${recording.scene}”`, [text])
  await writeFile(path, text)
}

async function writeServerFacts(out: string): Promise<void> {
  const { version } = await installedKilo()
  const text = `${JSON.stringify(await readServerFacts(), null, 1)}\n`
  refuseSecrets('What Kilo answers that belongs to no scene', [text])
  await writeFile(join(out, version, 'server.json'), text)
}
