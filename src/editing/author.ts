import type { UserId } from '#kernel/ids.ts'

/** The author of commits that a user makes through the API. `.invalid` is a reserved domain that never exists. */
export const authorOf = (userId: UserId) => ({
  name: userId,
  email: `${userId}@users.kilowatt.invalid`
})
