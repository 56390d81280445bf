import basicAuth from './basic-auth/policy.ts'
import clientIdEnforcement from './client-id-enforcement/policy.ts'
import cors from './cors/policy.ts'
import faultInjection from './fault-injection/policy.ts'
import ipRestriction from './ip-restriction/policy.ts'
import jwtAuth from './jwt-auth/policy.ts'
import keyAuth from './key-auth/policy.ts'
import type { AnyPolicy } from './kit/policy.ts'
import { type PolicySchema, policySchema } from './kit/schema.ts'
import limitCount from './limit-count/policy.ts'
import messageLogging from './message-logging/policy.ts'
import prometheus from './prometheus/policy.ts'
import proxyRewrite from './proxy-rewrite/policy.ts'
import responseRewrite from './response-rewrite/policy.ts'
import slaRateLimiting from './sla-rate-limiting/policy.ts'
import uriBlocker from './uri-blocker/policy.ts'

export type { AnyPolicy } from './kit/policy.ts'
export type { PolicySchema } from './kit/schema.ts'

/** Every built-in policy. A new one is known to the gateway by its line here. */
export const catalogue: readonly AnyPolicy[] = [
  basicAuth,
  clientIdEnforcement,
  cors,
  faultInjection,
  ipRestriction,
  jwtAuth,
  keyAuth,
  limitCount,
  messageLogging,
  prometheus,
  proxyRewrite,
  responseRewrite,
  slaRateLimiting,
  uriBlocker,
]

/** What `config/` checks configurations against, by policy name. */
export function policySchemas(policies: readonly AnyPolicy[]): Map<string, PolicySchema> {
  return new Map(policies.map((policy) => [policy.name, policySchema(policy)]))
}
