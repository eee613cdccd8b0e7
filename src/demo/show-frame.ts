import { styleText } from 'node:util'
import type { Frame, FrameData, FrameType } from '#kernel/frames.ts'

type Style = Parameters<typeof styleText>[0]
const paint = (style: Style, text: string) => styleText(style, text)
const credits = (amount: number) => `${amount} credit${amount === 1 ? '' : 's'}`

const TODO_MARKS: Readonly<Record<string, string>> = {
  completed: '☑',
  in_progress: '▸',
  cancelled: '☒'
}
const TOOL_MARKS = {
  running: paint('yellow', '…'),
  completed: paint('green', '✓'),
  error: paint('red', '✗')
} as const

type Showers = { readonly [T in FrameType]?: (data: FrameData<T>) => string | undefined }

/** One line per frame; frame types that are missing here are not shown. */
const LINES: Showers = {
  'job:queued': ({ mode, model, creditsReserved }) =>
    paint('cyan', `● queued   ${mode} with ${model}, ${credits(creditsReserved)} reserved`),
  'job:running': ({ branch }) => paint('cyan', `● running  on branch ${branch}`),
  'job:tool': ({ status, tool, title }) =>
    // The todo list has its own frame.
    status === 'running' || tool === 'todowrite'
      ? undefined
      : `  ${TOOL_MARKS[status]} ${paint('bold', tool)} ${title}`,
  'job:todo': ({ items }) =>
    items
      .map((item) => paint('dim', `    ${TODO_MARKS[item.status] ?? '☐'} ${item.content}`))
      .join('\n'),
  'job:file-created': ({ path }) => paint('green', `  + ${path}`),
  'job:file-updated': ({ path }) => paint('yellow', `  ~ ${path}`),
  'job:file-deleted': ({ path }) => paint('red', `  - ${path}`),
  'job:permission': ({ kind, title }) => paint('magenta', `? permission to ${kind}: ${title}`),
  'job:question': ({ questions }) =>
    questions.map(({ question }) => paint('magenta', `? ${question}`)).join('\n'),
  'job:credits-used': ({ credits: used, final, usage }) =>
    paint(
      'dim',
      `  ${final ? 'total' : 'so far'} ${credits(used)} (${usage.input + usage.cacheRead} tokens in, ${usage.output + usage.reasoning} out)`
    ),
  'job:success': ({ merge, commit }) =>
    paint('green', `● done     ${merge}${commit ? `, commit ${commit.slice(0, 10)}` : ''}`),
  'job:error': ({ code, message }) => paint('red', `● failed   ${code}: ${message}`)
}

/** Shows a job as it happens: the agent's text is continuous, its reasoning dimmed; other frames are one line each. */
export function createFrameShow(out: NodeJS.WritableStream): (frame: Frame) => void {
  let midLine = false
  let speaker = ''

  const endLine = () => {
    if (midLine) out.write('\n')
    midLine = false
  }
  const line = (text: string) => {
    endLine()
    out.write(`${text}\n`)
  }
  const words = ({ source, partId, text }: FrameData<'job:log'>) => {
    if (speaker !== partId) endLine()
    speaker = partId
    out.write(source === 'assistant' ? text : paint('dim', text))
    midLine = !text.endsWith('\n')
  }

  return ({ type, data }) => {
    if (type === 'job:log') return words(data as FrameData<'job:log'>)
    const show = LINES[type as FrameType] as ((data: unknown) => string | undefined) | undefined
    const text = show?.(data)
    if (text) line(text)
  }
}

/** A patch as git would colour it. */
export const paintPatch = (patch: string): string =>
  patch
    .split('\n')
    .map((line) => {
      if (line.startsWith('diff --git')) return paint('bold', line)
      if (line.startsWith('@@')) return paint('cyan', line)
      if (line.startsWith('+')) return paint('green', line)
      if (line.startsWith('-')) return paint('red', line)
      return line
    })
    .join('\n')
