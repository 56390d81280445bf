/** Policies by the names that they have in Flex Gateway. */
import { nearest } from '../../nearest.ts'
import type { Place, Report } from '../../report.ts'
import type { FlexSettings } from './configurations.ts'

/** Those that say where requests go; the dialect turns them into routes. */
export const trafficPolicies: ReadonlySet<string> = new Set(['route', 'route-weighted'])

/** Those that are fields of listeners, upstreams and routes. */
const connectionPolicies: readonly string[] = [
  'tls',
  'tls-outbound',
  'circuit-breaker-flex',
  'idle-timeout-flex',
  'response-timeout-flex',
  'stream-idle-timeout-flex',
]

export const isOfConnections = (name: string): boolean =>
  connectionPolicies.includes(name) || connectionPolicies.includes(`${name}-flex`)

/** The policy whose tiers are those of the contracts. */
export const slaPolicy = 'sla-rate-limiting'

/** What a policy is here. */
export interface Counterpart {
  /** Its name in the catalogue. */
  readonly policy: string
  /** Fields that have another name there. */
  readonly fields?: Readonly<Record<string, string>>
  /** What it is told beside. */
  readonly fixed?: Readonly<Record<string, unknown>>
  /** Where it can be bound. Default: to API instances. */
  readonly binds?: 'service' | 'both'
  /** What it is told of Configurations. */
  told?(settings: FlexSettings, config: Readonly<Record<string, unknown>>): object
  /** What runs right before it, and the fields that go there. */
  readonly before?: { readonly policy: string; readonly fields: readonly string[]; readonly fixed: object }
}

type Listed = readonly [name: string, here: Counterpart]
const same = (policy: string): Listed => [policy, { policy }]

const listed: readonly Listed[] = [
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
const notYet: ReadonlySet<string> = new Set([
  'access-block',
  'cors-flex',
  'credential-injection-basic-auth-flex',
  'credential-injection-oauth2-flex',
  'http-caching-flex',
  'injection-protection-flex',
  'jwt-validation-flex',
  'ldap-authentication-flex',
  'message-logging-flex',
  'message-logging-outbound',
  'native-ext-authz-flex',
  'native-ext-proc-flex',
  'oauth2-token-introspection-flex',
  'openidconnect-access-token-enforcement-flex',
  'spec-validation-flex',
  'tracing-flex',
  'xml-threat-protection-flex',
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
  const near = nearest(name, [...counterparts.keys(), ...trafficPolicies, ...connectionPolicies])
  report.add(place, {
    code: 'unknown-policy',
    message: `there is no policy ${name}`,
    hint: near === undefined ? `Known: ${[...counterparts.keys()].join(', ')}.` : `Did you mean ${near}?`,
  })
  return undefined
}
