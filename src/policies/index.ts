import { createRequire } from 'node:module'
import { extname } from 'node:path'
import { DerivedMap, LazyMap } from '../config/lazy-map.ts'
import type { AnyPolicy } from './kit/policy.ts'
import { type PolicySchema, policySchema } from './kit/schema.ts'

export type { AnyPolicy } from './kit/policy.ts'
export type { PolicySchema } from './kit/schema.ts'

/** Every built-in policy. A new one is known to the gateway by its line here: the name of the policy and its folder. */
const names = [
  'access-block',
  'acl',
  'ai-aliyun-content-moderation',
  'ai-aws-content-moderation',
  'ai-lakera-guard',
  'ai-prompt-decorator',
  'ai-prompt-guard',
  'ai-prompt-template',
  'ai-proxy',
  'ai-proxy-multi',
  'ai-rag',
  'ai-rate-limiting',
  'ai-request-rewrite',
  'api-breaker',
  'attach-consumer-label',
  'authz-keycloak',
  'bandwidth-limit',
  'basic-auth',
  'batch-requests',
  'body-transformer',
  'brotli',
  'clickhouse-logger',
  'client-control',
  'client-id-enforcement',
  'consumer-restriction',
  'cors',
  'cors-flex',
  'credential-injection-basic-auth-flex',
  'credential-injection-oauth2-flex',
  'csrf',
  'data-mask',
  'datadog',
  'degraphql',
  'echo',
  'elasticsearch-logger',
  'error-log-logger',
  'error-page',
  'example-plugin',
  'exit-transformer',
  'fault-injection',
  'file-logger',
  'forward-auth',
  'google-cloud-logging',
  'graphql-limit-count',
  'graphql-proxy-cache',
  'grpc-transcode',
  'grpc-web',
  'gzip',
  'header-injection-flex',
  'header-removal-flex',
  'hmac-auth',
  'http-basic-authentication-flex',
  'http-logger',
  'injection-protection-flex',
  'ip-allowlist-flex',
  'ip-blocklist-flex',
  'ip-restriction',
  'json-threat-protection',
  'jwe-decrypt',
  'jwt-auth',
  'jwt-validation-flex',
  'kafka-logger',
  'key-auth',
  'lago',
  'ldap-auth',
  'ldap-auth-advanced',
  'ldap-authentication-flex',
  'limit-conn',
  'limit-count',
  'limit-req',
  'loggly',
  'loki-logger',
  'mcp-bridge',
  'message-logging',
  'message-logging-flex',
  'mocking',
  'mqtt-proxy',
  'multi-auth',
  'native-ext-authz-flex',
  'node-status',
  'oas-validator',
  'oauth2-introspection',
  'opa',
  'openid-connect',
  'opentelemetry',
  'prometheus',
  'proxy-buffering',
  'proxy-cache',
  'proxy-control',
  'proxy-mirror',
  'proxy-rewrite',
  'public-api',
  'rate-limiting-flex',
  'real-ip',
  'redirect',
  'referer-restriction',
  'request-id',
  'request-validation',
  'response-rewrite',
  'route-weighted',
  'server-info',
  'serverless-post-function',
  'serverless-pre-function',
  'skywalking-logger',
  'sla-rate-limiting',
  'sls-logger',
  'spike-control',
  'splunk-hec-logging',
  'syslog',
  'tcp-logger',
  'traffic-label',
  'traffic-split',
  'ua-restriction',
  'udp-logger',
  'uri-blocker',
  'workflow',
  'xml-threat-protection',
  'zipkin',
] as const

/** Of a built-in policy. */
export type PolicyName = (typeof names)[number]

// Synchronous, since a plan is checked and put to work in one go. Sources end in .ts, what is built from them in .js.
const require = createRequire(import.meta.url)
const extension = extname(import.meta.url)

/**
 * The policies by name. The modules of a policy are loaded when it is first asked for. Those that an operator wrote stand
 * beside the built-in ones, as `others`.
 */
export const catalogue: LazyMap<AnyPolicy> = new LazyMap(
  names,
  (name) => (require(`./${name}/policy${extension}`) as { default: AnyPolicy }).default,
)

/** What `config/` checks configurations against, by policy name. */
export function policySchemas(policies: ReadonlyMap<string, AnyPolicy>): ReadonlyMap<string, PolicySchema> {
  return new DerivedMap(policies, policySchema)
}
