import { createParser } from 'eventsource-parser'

/** The messages of an event stream, complete and in order, wherever the chunks split them. */
export async function* readSse(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  const messages: string[] = []
  const parser = createParser({ onEvent: ({ data }) => messages.push(data) })

  for await (const bytes of body) {
    parser.feed(decoder.decode(bytes, { stream: true }))
    for (const message of messages.splice(0)) yield message
  }
}
