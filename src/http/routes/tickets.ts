import { Type } from 'typebox'
import { issueTicket } from '#accounts'
import { LIMITS } from '#kernel/limits.ts'
import { OnlyThese, Time } from '#kernel/schema-kit.ts'
import { ownProject } from '#projects'
import type { App, AppDeps } from '../app-deps.ts'
import { userOf } from '../plugins/auth.ts'
import { refusals } from '../schemas.ts'

const TicketFor = Type.Object({ projectId: Type.String({ maxLength: 64 }) }, OnlyThese)
const TicketView = Type.Object(
  { ticket: Type.String(), expiresAt: Time },
  { description: 'A one-time ticket for `/ws?ticket=…`' }
)

/** A browser cannot set headers of a WebSocket, so it fetches a one-time ticket first. */
export function ticketRoutes(app: App, { db, clock }: AppDeps): void {
  app.post(
    '/ws-tickets',
    {
      schema: {
        tags: ['events'],
        summary: 'Create a one-time ticket for a WebSocket to one project',
        body: TicketFor,
        response: { 201: TicketView, ...refusals }
      }
    },
    async (request, reply) => {
      const userId = userOf(request)
      const { id } = await ownProject(db, userId, request.body.projectId)
      const { ticket, expiresAt } = await issueTicket(
        db,
        { userId, projectId: id, keyId: request.keyId },
        LIMITS.ticketTtlMs,
        clock.now()
      )
      return reply.code(201).send({ ticket, expiresAt: expiresAt.toISOString() })
    }
  )
}
