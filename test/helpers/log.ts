import type { Frame } from '#kernel/frames.ts'
import type { GivenProject } from './product.ts'

/** A project's whole history, page by page. */
export async function readLog({
  id,
  client
}: Pick<GivenProject, 'id' | 'client'>): Promise<Frame[]> {
  const frames: Frame[] = []
  for (;;) {
    const page = `/projects/${id}/events?after=${frames.at(-1)?.seq ?? 0}&limit=200`
    const { body } = await client.call<{ items: Frame[] }>('GET', page)
    if (body.items.length === 0) return frames
    frames.push(...body.items)
  }
}
