import { Type } from 'typebox'
import { inTransaction } from '#db'
import { OnlyThese } from '#kernel/schema-kit.ts'
import type { App, AppDeps } from '../app-deps.ts'
import { Idempotent, refusals } from '../schemas.ts'

const NewUser = Type.Object(
  { name: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })) },
  OnlyThese
)
const UserWithKey = Type.Object(
  { id: Type.String(), apiKey: Type.String({ description: 'returned only here, never again' }) },
  { description: 'The new user' }
)

/** The operator creates users; each gets an API key and an empty wallet. */
export function userRoutes(app: App, { db, accounts, ledger }: AppDeps): void {
  app.post(
    '/users',
    {
      config: { idempotent: 'sealed' },
      schema: {
        tags: ['users'],
        summary: 'Create a user (operator only)',
        headers: Idempotent,
        body: Type.Union([Type.Null(), NewUser]),
        response: { 201: UserWithKey, ...refusals }
      }
    },
    async ({ body }, reply) => {
      const user = await inTransaction(db, async (tx) => {
        const created = await accounts.create(tx, { name: body?.name })
        await ledger.openWallet(tx, created.id)
        return created
      })
      return reply.code(201).send(user)
    }
  )
}
