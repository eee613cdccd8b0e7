import type { ProjectId } from '#kernel/ids.ts'
import type { Room } from '../room/room.ts'
import type { Egress } from './egress.ts'

/** Hosts that tools in a room reach without the proxy: servers of the room itself. */
const INSIDE = 'localhost,127.0.0.1,::1'

/**
 * Lends the egress proxy to a room without a network, and answers the variables by which tools find it: curl, git, npm,
 * pip and others read `http_proxy` and its kin, Node's own fetch needs NODE_USE_ENV_PROXY.
 */
export async function reachNetwork(
  room: Pick<Room, 'network' | 'paths' | 'expose' | 'freePort'>,
  egress: Egress | undefined,
  projectId: ProjectId
): Promise<Record<string, string>> {
  if (room.network === 'shared' || !egress) return {}
  const port = await room.freePort()
  await room.expose('egress', port, {
    accept: (connection) => egress.accept(projectId, connection)
  })
  const proxy = `http://127.0.0.1:${port}`
  return {
    http_proxy: proxy,
    https_proxy: proxy,
    HTTP_PROXY: proxy,
    HTTPS_PROXY: proxy,
    no_proxy: INSIDE,
    NO_PROXY: INSIDE,
    NODE_USE_ENV_PROXY: '1',
    // npm would look for a newer npm, and a refusal of that would be reported as the agent's.
    npm_config_update_notifier: 'false',
    ...(egress.registry === undefined ? {} : { npm_config_registry: egress.registry }),
    ...egress.certificates.environment(room.paths.given)
  }
}
