import type { ProjectId } from '#kernel/ids.ts'

export type RefusalReason =
  /** Not a host and a port in their usual spelling. */
  'malformed' | 'not_allowed' | 'private_address' | 'too_many_connections' | 'bytes_used_up'

export interface Target {
  /** As it was requested, without its port; printable ASCII. */
  readonly host: string
  readonly port: number | undefined
}

/** A connection that a room may not have. */
export interface EgressRefusal extends Target {
  readonly projectId: ProjectId
  readonly reason: RefusalReason
  /** One sentence for the user and for the program that asked. */
  readonly text: string
}

const WHY: Readonly<Record<RefusalReason, string>> = {
  malformed: 'expected a host name or an IP address in its usual form, and a port',
  not_allowed: 'EGRESS_ALLOW does not list this host and port',
  private_address: 'the host has no public address',
  too_many_connections: 'the project has too many connections open; close some and try again',
  bytes_used_up:
    'the project has transferred all bytes of today; the count starts again at 0:00 UTC'
}

export const explain = (reason: RefusalReason, target: string): string =>
  `Network access to ${target} was refused: ${WHY[reason]}.`

const SHOWN_CHARS_MAX = 100

/** A request target as it can be logged and shown: an agent chooses it. */
export function shown(target: string): string {
  const printable = target.replace(/[^\x21-\x7e]/g, '?')
  return printable.length > SHOWN_CHARS_MAX
    ? `${printable.slice(0, SHOWN_CHARS_MAX)}...`
    : printable
}

/** Splits `host:port` for a report. */
export function splitAuthority(authority: string): Target {
  const [, host = authority, port] = /^(.*):(\d{1,5})$/.exec(authority) ?? []
  return { host: shown(host), port: port === undefined ? undefined : Number(port) }
}
