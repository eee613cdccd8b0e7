import type { UserId } from '#kernel/ids.ts'

/** Whose name stands on a commit that a person made through the API. The domain is one that can never exist. */
export const authorOf = (userId: UserId) => ({
  name: userId,
  email: `${userId}@users.kilowatt.invalid`
})
