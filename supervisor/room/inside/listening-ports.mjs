import { readFileSync } from 'node:fs'

const LISTENS = '0A'

/** The TCP ports at which a process of this network namespace listens, in ascending order. */
export function listeningPorts() {
  const ports = ['/proc/net/tcp', '/proc/net/tcp6'].flatMap(portsOf)
  return [...new Set(ports)].toSorted((a, b) => a - b)
}

/** The lines of this file: `sl local_address:port remote_address:port state …`, all in hexadecimal digits. */
function portsOf(path) {
  let text
  try {
    text = readFileSync(path, 'utf8')
  } catch {
    // A kernel without IPv6 has no such file.
    return []
  }
  return text
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , , state]) => state === LISTENS)
    .map(([, local]) => Number.parseInt(local.slice(local.lastIndexOf(':') + 1), 16))
}
