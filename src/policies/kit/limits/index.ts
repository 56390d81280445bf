/** What policies that limit share. Apart from `kit/index.ts`, so that others do not load it. */
export { compileCombination, compileKey, counterPrefix } from './key.ts'
export { compileQuantity, quantity, quantityFinding } from './quantity.ts'
export { compileQuota, type QuotaWriter } from './quota-fields.ts'
export {
  type RedisConfig,
  redisFields,
  redisFinding,
  redisInApisix,
  sentinelFields,
} from './redis-target.ts'
export { rejection, rejectionFields, setRetryAfter } from './rejection.ts'
export { absentStore, type SharedDecisions, sharedDecisions } from './shared-decisions.ts'
