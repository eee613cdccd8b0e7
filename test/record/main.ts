import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import {
  installedKilo,
  listRecordings,
  readRecording,
  record,
  RECORDINGS_DIR,
  SCENES,
  writeRecording,
  type Recording
} from '#fixtures'
import { eventsOf } from './events-of.ts'

const { values } = parseArgs({
  options: {
    scene: { type: 'string', multiple: true, default: [] },
    all: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
    expect: { type: 'boolean', default: false },
    out: { type: 'string', default: RECORDINGS_DIR },
    'model-url': { type: 'string' },
    model: { type: 'string' },
    protocol: { type: 'string', default: 'openai' }
  }
})

/** What the product makes of a recording lies beside it. */
async function expectOf(recording: Recording): Promise<void> {
  const folder = join(values.out, recording.kilo, recording.scene)
  const events = await eventsOf(recording)
  const lines = events.map((event) => JSON.stringify(event))
  await writeFile(join(folder, 'events.json'), `[\n${lines.join(',\n')}\n]\n`)
}

const { version } = await installedKilo()
if (values.list) {
  for (const { name, says } of SCENES) console.log(`${name.padEnd(28)} ${says}`)
} else if (values.expect) {
  for (const scene of await listRecordings(version, values.out)) {
    await expectOf(await readRecording(scene, version, values.out))
  }
} else {
  const url = values['model-url']
  const protocol = values.protocol === 'anthropic' ? 'anthropic' : 'openai'
  const apiKey = process.env['RECORD_MODEL_KEY'] ?? ''
  const model = url && values.model ? { url, name: values.model, apiKey } : undefined
  for (const scene of SCENES.filter(({ name }) => values.all || values.scene.includes(name))) {
    const beganAt = performance.now()
    const recording = await record(scene, model ? { model, protocol } : {})
    await writeRecording(recording, values.out)
    await expectOf(recording)
    const seconds = ((performance.now() - beganAt) / 1000).toFixed(1)
    console.log(
      `${scene.name}: ${recording.at.length} messages, ${recording.stream.length} bytes, ${seconds} s`
    )
  }
}
