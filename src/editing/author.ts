import type { UserId } from '#kernel/ids.ts'

/** The author of commits that a user makes through the API. The domain is reserved and can never receive mail. */
export const authorOf = (userId: UserId) => ({
  name: userId,
  email: `${userId}@users.kilowatt.invalid`
})
