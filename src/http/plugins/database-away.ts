/** What the network, PostgreSQL and its driver say when there is nobody to talk to. */
const CODES =
  /^(08\w{3}|57P0[1-3]|53300|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EPIPE|ENOTFOUND|EAI_AGAIN)$/
const SENTENCES =
  /connection terminated|timeout exceeded when trying to connect|pglite is closed|driver has already been destroyed|client has encountered a connection error/i

/** Whether an error means that the database is away, rather than that a query is wrong. */
export function isDatabaseAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const { code } = error as { code?: unknown }
  return (typeof code === 'string' && CODES.test(code)) || SENTENCES.test(error.message)
}
