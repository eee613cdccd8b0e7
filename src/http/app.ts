import accepts from '@fastify/accepts'
import Fastify, { type FastifyInstance } from 'fastify'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { timingsOf, type App, type AppDeps } from './app-deps.ts'
import { createAuthentication } from './plugins/auth.ts'
import { readJsonBodies } from './plugins/json-body.ts'
import { admitBrowsers, limitRates } from './plugins/cors-and-rate-limits.ts'
import { refuseOnFullDisk } from './plugins/disk-full.ts'
import { refuseUnstorableText } from './plugins/storable-text.ts'
import { publishDocuments } from './plugins/openapi.ts'
import { replayAnswers } from './plugins/idempotency/idempotency.ts'
import { refuseOtherMethods } from './plugins/method-not-allowed.ts'
import { answerProblems, answerUnknownAddresses } from './plugins/problems.ts'
import { logRequests } from './plugins/request-log.ts'
import { addSecurityHeaders, checkHosts } from './plugins/security-headers.ts'
import { measureRequests } from './plugins/request-metrics.ts'
import { closeSilentConnections, refuseWhenStopping } from './plugins/shutdown.ts'
import { compileValidator } from './plugins/validation.ts'
import { answerRoutes } from './routes/jobs/answers.ts'
import { commandRoutes } from './routes/jobs/commands.ts'
import { eventRoutes } from './routes/events.ts'
import { fileRoutes } from './routes/files/routes.ts'
import { healthRoutes } from './routes/health.ts'
import { jobRoutes } from './routes/jobs/routes.ts'
import { keyRoutes } from './routes/keys.ts'
import { agentRoutes } from './routes/projects/agent.ts'
import { projectRoutes } from './routes/projects/routes.ts'
import { reviewRoutes } from './routes/jobs/reviews.ts'
import { schemaRoutes } from './routes/schemas.ts'
import { sessionRoutes } from './routes/jobs/sessions.ts'
import { admitSockets, streamRoute } from './routes/stream.ts'
import { ticketRoutes } from './routes/tickets.ts'
import { userRoutes } from './routes/users.ts'
import { walletRoutes } from './routes/wallet/routes.ts'
import { createConnections, endWithExpiredKeys } from './stream/live-connections.ts'
import { serverOptions } from './server-options.ts'

/** The HTTP server with all routes and the plugins that apply to all of them. It does not listen yet. */
export async function createApp(given: AppDeps): Promise<FastifyInstance> {
  const timings = timingsOf(given.timings)
  const app: App = Fastify(serverOptions(given, timings)).withTypeProvider<TypeBoxTypeProvider>()
  const signal = endingWith(app, given.signal)

  app.setValidatorCompiler(compileValidator)
  // Response schemas only document: the answer is serialised as the handler returns it.
  app.setSerializerCompiler(() => (answer) => JSON.stringify(answer))
  app.decorateRequest('userId', null)
  app.decorateRequest('onlyProject', null)
  app.decorateRequest('keyId', null)
  app.decorateRequest('connection', null)
  // Before all other hooks: the plugin closes the connection of a refused upgrade.
  await admitSockets(app)
  await app.register(accepts, { decorateReply: false })
  answerProblems(app)
  readJsonBodies(app, timings)
  logRequests(app)
  measureRequests(app, given.metrics)
  await addSecurityHeaders(app, given.publicUrl)
  refuseWhenStopping(app, signal)
  closeSilentConnections(app)
  checkHosts(app, given.publicUrl)
  await admitBrowsers(app, given.allowedOrigins)
  const closeMethods = refuseOtherMethods(app)
  const countRefused = await limitRates(app, given.requestsPerMinuteMax)
  answerUnknownAddresses(app, countRefused)
  const authentication = createAuthentication(given, countRefused)
  const connections = createConnections(given)
  endWithExpiredKeys(app, connections, timings)
  const deps = { ...given, signal, authentication, connections }
  await publishDocuments(app, deps.version)
  refuseUnstorableText(app)
  refuseOnFullDisk(app, deps.disk)
  replayAnswers(app, deps.idempotency)

  healthRoutes(app, deps)
  schemaRoutes(app)
  streamRoute(app, deps)
  await app.register(async (operators: App) => {
    operators.addHook('onRequest', authentication.requireOperator)
    userRoutes(operators, deps)
  })
  await app.register(async (accounts: App) => {
    accounts.addHook('onRequest', authentication.requireUserOrOperator)
    keyRoutes(accounts, deps)
  })
  await app.register(async (people: App) => {
    people.addHook('onRequest', authentication.requireUser)
    projectRoutes(people, deps)
    agentRoutes(people, deps.jobs)
    fileRoutes(people, deps)
    commandRoutes(people, deps.jobs)
    jobRoutes(people, deps.jobs)
    reviewRoutes(people, deps.jobs)
    answerRoutes(people, deps.jobs)
    eventRoutes(people, deps)
    sessionRoutes(people, deps.jobs)
    ticketRoutes(people, deps)
    walletRoutes(people, deps)
  })
  closeMethods()

  await app.ready()
  return app
}

/** Aborts with the given signal, or when the app is closed. */
function endingWith(app: App, signal: AbortSignal): AbortSignal {
  const closing = new AbortController()
  app.addHook('preClose', async () => closing.abort())
  return AbortSignal.any([signal, closing.signal])
}
