import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
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
  type Scene
} from '#fixtures'
import { differences } from './compare.ts'
import { eventsOf } from './events-of.ts'
import { writeFrames } from './frames-of.ts'
import { complaintsAbout } from './soundness.ts'

// `npm run record -- --help` says what may be asked.
const USAGE = `npm run record -- [what] [how]
  --scene <name>     records this scene; may be said several times
  --all              records every scene, and what Kilo answers that belongs to none
  --list             says which scenes there are
  --expect           writes only events.json and frames.json anew, from the recordings that are there
  --check            records, writes nothing, and says what is different from what was recorded
  --out <dir>        a folder for the recordings instead of fixtures/sse
  --model-url <url>  records a real model (with /v1; its key is taken from RECORD_MODEL_KEY)
  --model <name>     the name of that model
  --protocol <name>  how it is talked to: openai, or anthropic`

const { values } = parseArgs({
  options: {
    scene: { type: 'string', multiple: true, default: [] },
    all: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
    expect: { type: 'boolean', default: false },
    check: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
    out: { type: 'string', default: RECORDINGS_DIR },
    'model-url': { type: 'string' },
    model: { type: 'string' },
    protocol: { type: 'string', default: 'openai' }
  }
})
const { version } = await installedKilo()
const url = values['model-url']
const apiKey = process.env['RECORD_MODEL_KEY'] ?? ''
const model = url && values.model ? { url, name: values.model, apiKey } : undefined
const protocol = values.protocol === 'anthropic' ? 'anthropic' : 'openai'
const wanted = SCENES.filter(({ name }) => values.all || values.scene.includes(name))
const unknown = values.scene.filter((name) => !SCENES.some((scene) => scene.name === name))

if (unknown.length > 0) throw new Error(`There is no scene ${unknown.join(', ')}: see --list`)
if (values.list) {
  for (const { name, says } of SCENES) console.log(`${name.padEnd(28)} ${says}`)
} else if (values.expect) {
  const names = await listRecordings(version, values.out)
  const recordings = await Promise.all(
    names.map((name) => readRecording(name, version, values.out))
  )
  for (const recording of recordings) await expectOf(recording)
  await writeFrames(recordings, values.out)
} else if (values.help || wanted.length === 0) {
  console.log(USAGE)
} else {
  const written: Recording[] = []
  for (const scene of wanted) {
    const what = await recorded(scene, written).catch((error: unknown) => {
      process.exitCode = 1
      return `not recorded: ${String(error)}`
    })
    console.log(`${scene.name}: ${what}`)
  }
  if (written.length > 0) await writeFrames(written, values.out)
  if (values.all && !values.check) await writeServerFacts()
}

async function recorded(scene: Scene, written: Recording[]): Promise<string> {
  const recording = await record(scene, model ? { model, protocol } : {})
  const complaints = complaintsAbout(recording)
  // A real model may do something else than the scene expects, and that is to be seen.
  if (complaints.length > 0 && !model) throw new Error(complaints.join('; '))
  if (values.check) {
    const found = await differences(await readRecording(scene.name, version), recording)
    if (found.length > 0) process.exitCode = 1
    return found.length === 0 ? 'as it was' : `different\n  ${found.join('\n  ')}`
  }
  await writeRecording(recording, values.out)
  await expectOf(recording)
  written.push(recording)
  return `${recording.at.length} messages, ${recording.stream.length} bytes`
}

/** What the product makes of a recording lies beside it. */
async function expectOf(recording: Recording): Promise<void> {
  const lines = (await eventsOf(recording)).map((event) => JSON.stringify(event))
  const path = join(values.out, recording.kilo, recording.scene, 'events.json')
  await writeFile(path, lines.length === 0 ? '[]\n' : `[\n${lines.join(',\n')}\n]\n`)
}

async function writeServerFacts(): Promise<void> {
  const text = `${JSON.stringify(await readServerFacts(), null, 1)}\n`
  await writeFile(join(values.out, version, 'server.json'), text)
}
