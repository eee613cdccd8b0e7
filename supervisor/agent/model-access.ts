import { unavailable } from '../agent-failure.ts'
import type { ProviderAccess } from '../options.ts'
import type { Room, RoomService } from '../room/room.ts'

/**
 * The providers as an agent in this room reaches them. A room without a network gets each address lent: at a port of its
 * own, from where the connections lead to `lent`, or to the address itself.
 */
export async function reachModels(
  room: Pick<Room, 'network' | 'expose' | 'freePort'>,
  providers: readonly ProviderAccess[],
  lent: RoomService | undefined
): Promise<ProviderAccess[]> {
  if (room.network === 'shared') return [...providers]
  const inside = new Map<string, string>()
  const reach = async (baseUrl: string) => {
    const url = new URL(baseUrl)
    if (url.protocol !== 'http:') {
      throw unavailable(
        `A room has no network, and ${url.origin} cannot be lent to it: use the model gateway, or ISOLATION=process.`
      )
    }
    const known = inside.get(url.origin)
    if (known !== undefined) return baseUrl.replace(url.origin, known)
    const port = await room.freePort()
    const itself = { host: url.hostname, port: Number(url.port || 80) }
    await room.expose('model', port, lent ?? itself)
    const origin = `http://127.0.0.1:${port}`
    inside.set(url.origin, origin)
    return baseUrl.replace(url.origin, origin)
  }

  const reached: ProviderAccess[] = []
  for (const provider of providers) {
    const { baseUrl } = provider
    reached.push(baseUrl === undefined ? provider : { ...provider, baseUrl: await reach(baseUrl) })
  }
  return reached
}
