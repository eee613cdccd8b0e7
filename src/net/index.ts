export { createCounts } from './counts.ts'
export { networkOf } from './network-of.ts'
export { isPublicAddress } from './public-address.ts'
export {
  createBodyBudget,
  type BodyBudget,
  type BodyBudgetLimits,
  type BodyShare
} from './bodies/body-budget.ts'
export { createJsonParser, type JsonParser } from './bodies/json-parser.ts'
export { readBody, type BodyRefusal, type BodyRules } from './bodies/read-body.ts'
export { discardUnreadBody } from './bodies/unread-body.ts'
export {
  findPermission,
  formatAllowEntry,
  parseAllowEntry,
  type AllowEntry,
  type ParsedEntry,
  type Permission
} from './egress/allow-list.ts'
export { parseHost, type Host } from './egress/host.ts'
export { isReachable } from './egress/reachable.ts'
