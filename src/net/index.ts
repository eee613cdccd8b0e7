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
