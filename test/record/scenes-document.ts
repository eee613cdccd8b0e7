import { SCENES } from '#fixtures'

const INTRODUCTION = `# The recorded scenes

Generated from \`fixtures/record/scenes/\` by \`npm run documents\`. What a recording is, and how to make one, stands in
[the kit’s page](../README.md#recordings).`

/** What each recorded scene shows, in one table. */
export function scenesDocument() {
  const rows = SCENES.map(({ name, says }) => `| \`${name}\` | ${says} |`)
  const table = ['| scene | what happens |', '|---|---|', ...rows].join('\n')
  return { path: 'fixtures/sse/README.md', text: `${INTRODUCTION}\n\n${table}\n` }
}
