/** The bounds of what a room may ask of the server. The agent shares its user with the room's program. */
export const ROOM_LIMITS = {
  /** From the start of bubblewrap until the room's program has connected. A busy machine needs seconds. */
  openMs: 30_000,
  /** From a connection until its first line is complete. */
  helloMs: 5000,
  helloBytesMax: 512,
  /** Connections without a complete first line. */
  unnamedMax: 64,
  /** All connections of a room: a program inside can open as many as it likes to a service. */
  connectionsMax: 1024,
  controlLineBytesMax: 64 * 1024,
  requestMs: 15_000,
  /** After the exit of a process, for the end of its output. */
  outputEndMs: 200,
  /** After a room was killed, until its processes must have exited. For a very busy machine. */
  killMs: 5000,
  tmpBytes: 512 * 1024 * 1024,
  shmBytes: 64 * 1024 * 1024
} as const
