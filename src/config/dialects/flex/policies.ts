/** Policies by the names that they have in Flex Gateway. */
import { nearest } from '../../nearest.ts'
import type { Place, Report } from '../../report.ts'
import { readYaml } from '../../yaml-text.ts'
import type { FlexSettings } from './configurations.ts'

/** Those that say where requests go; the dialect turns them into routes. */
export const trafficPolicies: ReadonlySet<string> = new Set(['route', 'route-weighted'])

/** Those that are fields of listeners, upstreams and routes: where they are bound, and what they are here. */
export const connectionPolicies: readonly {
  readonly name: string
  readonly binds: string
  readonly here: string
}[] = [
  {
    name: 'tls',
    binds: 'ApiInstance',
    here: '`protocol: https` and `ssl` of the listener, with an item of `ssls`',
  },
  {
    name: 'tls-outbound',
    binds: 'Service',
    here: '`tls`, `tls_verify` and `ca_certificates` of the upstream',
  },
  { name: 'circuit-breaker-flex', binds: 'Service', here: '`circuit_breaker` of the upstream' },
  { name: 'idle-timeout-flex', binds: 'Service', here: '`keepalive_pool.idle_timeout` of the upstream' },
  {
    name: 'response-timeout-flex',
    binds: 'ApiInstance, Service',
    here: '`timeout.read` of its routes, or of the upstream; without `rules`',
  },
  {
    name: 'stream-idle-timeout-flex',
    binds: 'ApiInstance',
    here: '`timeout` of its routes; without `rules`',
  },
]

export const isOfConnections = (name: string): boolean =>
  connectionPolicies.some((one) => one.name === name || one.name === `${name}-flex`)

/** The policy whose tiers are those of the contracts. */
export const slaPolicy = 'sla-rate-limiting'

type PolicyConfig = Readonly<Record<string, unknown>>

/** @param base path of the instance, without a slash at its end; empty: it has none */
export type ValueOf = (value: unknown, base: string, config: PolicyConfig) => unknown

/** What a policy is here. */
export interface Counterpart {
  /** Its name in the catalogue. */
  readonly policy: string
  /** Fields that have another name there. */
  readonly fields?: Readonly<Record<string, string>>
  /** How values of fields are written here. */
  readonly values?: Readonly<Record<string, ValueOf>>
  /** Fields of the original that have no effect, which is told. */
  readonly idle?: readonly string[]
  /** Those of them that another value is made of. */
  readonly read?: readonly string[]
  /** Clients are known to it by `client_id` of their credential. */
  readonly identifies?: true
  /** What it is told beside. */
  readonly fixed?: Readonly<Record<string, unknown>>
  /** Where it can be bound. Default: to API instances. */
  readonly binds?: 'service' | 'both'
  /** What it is told of Configurations. */
  told?(settings: FlexSettings, config: PolicyConfig): object
  /** What runs right before it, and the fields that go there. */
  readonly before?: { readonly policy: string; readonly fields: readonly string[]; readonly fixed: object }
}

/** Certificates of services that policies ask are looked at, unless a Configuration says otherwise. */
const asCalls = ({ calls }: FlexSettings) => calls

/** An OpenAPI document is JSON here, and may be YAML there. Its paths stand below that of the instance, not its servers. */
function specification(value: unknown, base: string, { apiBasePath = '/' }: PolicyConfig): unknown {
  if (typeof value !== 'string') return value
  const { values, problems } = readYaml(value)
  const [document] = values
  if (problems.length > 0 || values.length !== 1 || typeof document !== 'object') return value
  const path = `/${base}/${String(apiBasePath)}`.replace(/\/+/g, '/').replace(/\/$/, '')
  return JSON.stringify({ ...document, servers: [{ url: path === '' ? '/' : path }] })
}

type Listed = readonly [name: string, here: Counterpart]
const same = (policy: string): Listed => [policy, { policy }]

const listed: readonly Listed[] = [
  same('access-block'),
  same('cors-flex'),
  same('injection-protection-flex'),
  ['credential-injection-basic-auth-flex', { policy: 'credential-injection-basic-auth-flex', binds: 'both' }],
  [
    'credential-injection-oauth2-flex',
    { policy: 'credential-injection-oauth2-flex', binds: 'both', told: asCalls },
  ],
  ['jwt-validation-flex', { policy: 'jwt-validation-flex', told: asCalls, identifies: true }],
  [
    'message-logging-flex',
    { policy: 'message-logging-flex', told: ({ sinks }) => (sinks === undefined ? {} : { sinks }) },
  ],
  [
    'message-logging-outbound',
    {
      policy: 'message-logging-flex',
      binds: 'service',
      told: ({ sinks }) => (sinks === undefined ? {} : { sinks }),
    },
  ],
  ['ldap-authentication-flex', { policy: 'ldap-authentication-flex', told: asCalls }],
  ['native-ext-authz-flex', { policy: 'native-ext-authz-flex', told: asCalls }],
  ['oauth2-token-introspection-flex', { policy: 'oauth2-introspection', identifies: true }],
  [
    'spec-validation-flex',
    {
      policy: 'oas-validator',
      fields: { blockOperation: 'reject_if_not_match', spec: 'spec' },
      values: { spec: specification },
      fixed: { verbose_errors: true },
      idle: ['source', 'apiBasePath', 'strictParamsValidation'],
      read: ['apiBasePath'],
    },
  ],
  [
    'xml-threat-protection-flex',
    {
      policy: 'xml-threat-protection',
      fields: {
        maxNodeDepth: 'max_node_depth',
        maxAttributeCountPerElement: 'max_attribute_count_per_element',
        maxChildCount: 'max_child_count',
        maxTextLength: 'max_text_length',
        maxAttributeLength: 'max_attribute_length',
        maxCommentLength: 'max_comment_length',
      },
      fixed: { rejected_code: 400 },
    },
  ],
  same('header-injection-flex'),
  same('header-removal-flex'),
  same('http-basic-authentication-flex'),
  same('ip-allowlist-flex'),
  same('ip-blocklist-flex'),
  same('rate-limiting-flex'),
  ['client-id-enforcement-flex', { policy: 'client-id-enforcement' }],
  [
    'rate-limiting-sla-based-flex',
    {
      policy: slaPolicy,
      fixed: { exposeHeaders: false },
      before: {
        policy: 'client-id-enforcement',
        fields: ['clientIdExpression', 'clientSecretExpression'],
        fixed: { credentialsOriginHasHttpBasicAuthenticationHeader: 'customExpression' },
      },
    },
  ],
  ['spike-control-flex', { policy: 'spike-control' }],
  [
    'json-threat-protection-flex',
    {
      policy: 'json-threat-protection',
      fields: {
        maxContainerDepth: 'max_container_depth',
        maxObjectEntryCount: 'max_object_entry_count',
        maxObjectEntryNameLength: 'max_object_entry_name_length',
        maxArrayElementCount: 'max_array_element_count',
        maxStringValueLength: 'max_string_value_length',
      },
      fixed: { rejected_code: 400 },
    },
  ],
]

/** By the names of Flex Gateway. */
export const counterparts: ReadonlyMap<string, Counterpart> = new Map(listed)

/** What Flex Gateway has beside them. */
export const notYet: ReadonlySet<string> = new Set([
  'http-caching-flex',
  'native-ext-proc-flex',
  'openidconnect-access-token-enforcement-flex',
  'tracing-flex',
])

/** Undefined: there is none, and the report says so. */
export function counterpartOf(name: string, place: Place, report: Report): Counterpart | undefined {
  // API Manager calls them without the ending.
  const found = counterparts.get(name) ?? counterparts.get(`${name}-flex`)
  if (found !== undefined) return found
  if (notYet.has(name) || notYet.has(`${name}-flex`)) {
    report.add(place, {
      code: 'unsupported-resource',
      message: `the policy ${name} of Flex Gateway is not part of this version yet`,
      hint: 'Leave it out, or write the API as services, routes and upstreams with a policy of the catalogue.',
    })
    return undefined
  }
  const near = nearest(name, [
    ...counterparts.keys(),
    ...trafficPolicies,
    ...connectionPolicies.map((one) => one.name),
  ])
  report.add(place, {
    code: 'unknown-policy',
    message: `there is no policy ${name}`,
    hint: near === undefined ? `Known: ${[...counterparts.keys()].join(', ')}.` : `Did you mean ${near}?`,
  })
  return undefined
}
